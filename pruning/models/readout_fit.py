"""Ridge regression of a read-out: the last matrix of a new head, solved in closed form from a few training rows.

A classifier that starts at random gives the scores below it a random direction to learn from, and a short run ends before it has
turned (MPNet-base, SST-2, 400 steps of 8 rows: 50.9 %). The last matrix alone, solved from 512 rows on the dense model, has 86 %
there. The penalty and the scale of the logits are chosen by leave-one-out errors, which ridge regression has in closed form
(Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, eq. 7.64). Called by :mod:`pruning.training.readout`.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Kind = Literal["classification", "regression", "multilabel"]

PENALTIES = np.logspace(-3, 3, 25)
"""Penalties that are tried; per row and unit of variance of the features."""
SCALES = np.logspace(-1, 2, 61)
"""Factors that are tried, from least-squares targets of 0 and 1 to logits."""
_LEAST_SPREAD = 1e-6
"""Features with a smaller standard deviation count as constant."""


@dataclass(frozen=True)
class ReadoutFit:
    """logits = weight · features + bias."""

    weight: npt.NDArray[np.float32]
    """[C, F]."""
    bias: npt.NDArray[np.float32]
    """[C]."""


@dataclass(frozen=True)
class _Ridge:
    """Solutions of one design matrix for many penalties, from its singular value decomposition."""

    left: Array
    """[N, K], orthonormal columns."""
    singular: Array
    """[K]."""
    right: Array
    """[K, F]."""
    targets: Array
    """[N, C], of mean 0."""

    def predictions(self, penalty: float) -> Array:
        """[N, C]: of each row, by the solution from all others."""
        shrunk = self.singular**2 / (self.singular**2 + penalty)
        fitted = (self.left * shrunk) @ (self.left.T @ self.targets)
        leverage = (self.left**2 * shrunk).sum(axis=1) + 1 / len(self.left)  # 1/N is the intercept's
        others: Array = self.targets - (self.targets - fitted) / np.maximum(1 - leverage, 1e-9)[:, np.newaxis]
        return others

    def solution(self, penalty: float) -> Array:
        """[F, C]."""
        shrunk = self.singular / (self.singular**2 + penalty)
        return (self.right.T * shrunk) @ (self.left.T @ self.targets)


def fit_readout(
    features: npt.NDArray[Any], labels: npt.NDArray[Any], kind: Kind, classes: int, log_weights: Array | None = None
) -> ReadoutFit:
    """Read-out from features [N, F] and labels: class ids [N], numbers [N], or 0 and 1 [N, C] of a multilabel task.

    Logits of classes are a (ŷ - p) + log p, of labels a (ŷ - p) + log(p / (1 - p)), with ŷ the least-squares prediction of the
    0/1 targets, p their frequencies (one added to each count) and a the scale of least leave-one-out cross-entropy. Where the loss
    weighs classes, ``log_weights`` [C] is added to log p, of labels to the log odds. Raises ValueError for fewer than two rows.
    """
    if len(features) < 2:
        raise ValueError("a read-out is fitted on two rows at least")
    wide = features.astype(np.float64)
    center = wide.mean(axis=0)
    spread = max(float((wide - center).std()), _LEAST_SPREAD)
    targets = _targets(labels, kind, classes)
    mean = targets.mean(axis=0)
    left, singular, right = np.linalg.svd((wide - center) / spread, full_matrices=False)
    ridge = _Ridge(left, singular, right, targets - mean)
    penalties = PENALTIES * len(wide)
    errors = [float(((ridge.predictions(penalty) - ridge.targets) ** 2).mean()) for penalty in penalties]
    penalty = float(penalties[int(np.argmin(errors))])
    scale, offset = _link(ridge.predictions(penalty), targets, kind)
    if log_weights is not None:
        offset = offset + log_weights
    weight = ridge.solution(penalty).T * (scale / spread)
    return ReadoutFit(weight.astype(np.float32), (offset - weight @ center).astype(np.float32))


def _targets(labels: npt.NDArray[Any], kind: Kind, classes: int) -> Array:
    if kind == "classification":
        return np.eye(classes)[labels.astype(np.int64)]
    return labels.astype(np.float64).reshape(len(labels), -1)


def _link(predicted: Array, targets: Array, kind: Kind) -> tuple[float, Array]:
    """Scale and offset from centred predictions [N, C] to logits; of a regression, whose logit is the number, 1 and its mean."""
    if kind == "regression":
        return 1.0, targets.mean(axis=0)
    counts = targets.sum(axis=0) + 1
    frequency = counts / (counts.sum() if kind == "classification" else len(targets) + 2)
    offset = np.log(frequency) if kind == "classification" else np.log(frequency / (1 - frequency))
    losses = [_cross_entropy(scale * predicted + offset, targets, kind) for scale in SCALES]
    return float(SCALES[int(np.argmin(losses))]), offset


def _cross_entropy(logits: Array, targets: Array, kind: Kind) -> float:
    if kind == "multilabel":
        return float((np.logaddexp(0, logits) - targets * logits).mean())
    return float((np.logaddexp.reduce(logits, axis=1) - (logits * targets).sum(axis=1)).mean())
