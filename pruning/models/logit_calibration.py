"""Logit calibration: one scale and one offset per class, which start a label-word head at the frequencies of the classes.

A language model's head is trained at masked positions only. Its logits at ``[CLS]`` carry an offset that is larger than what
the text contributes (SST-2 on MiniLM: 2.8 and 3.6 against a spread of 0.9), so that one class is predicted for every row, and
a run spends its first steps on that offset. The idea is contextual calibration (Zhao et al., 2021, arXiv 2102.09690), here
from a few training rows. Fitted by :mod:`pruning.training.build`, stored in the mask's metadata, applied by
:class:`pruning.models.heads.LabelWordHead`.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_LEAST_SPREAD = 1e-3
"""Below it logits hardly depend on the text, and are not scaled up further."""


@dataclass(frozen=True)
class LogitCalibration:
    """z' = scale · z + offset, with float32 numbers, so that JSON gives them back to the last bit."""

    scale: float
    offsets: tuple[float, ...]
    """One per class, in class-id order; one for a regression."""

    @classmethod
    def from_class_logits(
        cls, logits: npt.NDArray[Any], labels: npt.NDArray[Any], log_weights: npt.NDArray[Any] | None = None
    ) -> Self:
        """Calibration from logits [N, C] and class ids [N]: z' = (z - mean z) / s + log p.

        s is the standard deviation of what the rows add to the differences between classes, p the frequencies of the classes
        (one added to each count), times their weights where the loss weighs them (``log_weights`` [C]). Raises ValueError without
        rows.
        """
        wide = logits.astype(np.float64)
        if not len(wide):
            raise ValueError("no rows to calibrate on")
        means = wide.mean(axis=0)
        added = wide - means
        spread = float((added - added.mean(axis=1, keepdims=True)).std())
        scale = float(np.float32(1 / max(spread, _LEAST_SPREAD)))
        counts = np.bincount(labels.astype(np.int64), minlength=wide.shape[1]) + 1
        start = np.log(counts / counts.sum()) + (0.0 if log_weights is None else log_weights)
        return cls(scale, _float32(start - scale * means))

    @classmethod
    def from_numbers(cls, logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Self:
        """Calibration from raw logits [N, 1] of a regression and numbers [N]: z' has the mean and the spread of the numbers, and
        rises with them. Raises ValueError without rows."""
        if not len(logits):
            raise ValueError("no rows to calibrate on")
        z, y = logits[:, 0].astype(np.float64), labels.astype(np.float64)
        sign = -1.0 if float(((z - z.mean()) * (y - y.mean())).mean()) < 0 else 1.0
        scale = float(np.float32(sign * max(float(y.std()), _LEAST_SPREAD) / max(float(z.std()), _LEAST_SPREAD)))
        return cls(scale, _float32(np.array([y.mean() - scale * z.mean()])))


def calibration_of(scale: float | None, offsets: tuple[float, ...]) -> LogitCalibration | None:
    """The calibration that a mask's metadata describe; None where they have none."""
    return None if scale is None else LogitCalibration(scale, offsets)


def _float32(values: npt.NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values.astype(np.float32))
