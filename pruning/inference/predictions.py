"""A prediction as a person wants it: the class by name, and how sure the model is.

Made by :mod:`pruning.inference.pruned_model`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Prediction:
    """What was predicted for one text or pair of texts."""

    value: Any
    """Class id; for a regression the number, for a question the answer."""
    label: str | None
    """Name of the class; None where there are no classes."""
    probabilities: dict[str, float] | None
    """Of each class, by name: the softmax of the logits, which is no calibrated confidence."""


def classified(logits: npt.NDArray[np.float32], labels: Sequence[str]) -> list[Prediction]:
    """Predictions from logits [N, C] and the names of the C classes."""
    wide = logits.astype(np.float64)
    shares = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return [
        Prediction(int(row), labels[row], dict(zip(labels, map(float, values), strict=True)))
        for row, values in zip(logits.argmax(axis=1), shares, strict=True)
    ]
