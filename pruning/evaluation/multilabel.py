"""Multi-label metrics: micro and macro F1 at a probability of 0.5, and at the best threshold on the given rows.

Micro F1 counts all decisions of all labels together, macro F1 is the mean over labels; both are scikit-learn's with
``zero_division=0``. Called by :mod:`pruning.evaluation.evaluate` and, for decisions, by :mod:`pruning.inference`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DEFAULT_THRESHOLD = 0.5
Probabilities = npt.NDArray[np.float64]
Labels = npt.NDArray[np.bool_]


def probabilities(logits: npt.NDArray[np.floating]) -> Probabilities:
    """Sigmoids of logits [N, C], without overflow."""
    wide = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(wide))
    return np.asarray(np.where(wide >= 0, 1.0, small) / (1.0 + small))


def label_ids(logits: npt.NDArray[np.floating], threshold: float) -> list[list[int]]:
    """Ascending ids of the labels of each row whose probability is at least ``threshold``; logits [N, C]."""
    return [np.flatnonzero(row >= threshold).tolist() for row in probabilities(logits)]


def best_threshold(scores: Probabilities, labels: Labels) -> float:
    """The threshold with the largest micro F1 of scores [N, C] against labels [N, C]; of several the one nearest to 0.5.

    It lies in the middle between two scores. 0.5 where no row has a label: all thresholds are then equal.
    """
    order = np.argsort(-scores, axis=None, kind="stable")
    ranked, right = scores.ravel()[order], labels.ravel()[order]
    if not right.any():
        return DEFAULT_THRESHOLD
    given = np.arange(1, len(ranked) + 1)
    f1 = 2 * np.cumsum(right) / (given + right.sum())
    below = np.append(ranked[1:], 0.0)
    f1[ranked == below] = -1.0  # equal scores are decided alike
    middle = np.maximum((ranked + below) / 2, np.nextafter(below, 1.0))
    best = np.flatnonzero(f1 == f1.max())
    return float(middle[best[np.abs(middle[best] - DEFAULT_THRESHOLD).argmin()]])


def f1_scores(given: Labels, labels: Labels) -> tuple[float, float]:
    """Micro and macro F1 of decisions [N, C] against labels [N, C]."""
    by_label = f1_by_label(given, labels)
    right, wrong = np.count_nonzero(given & labels), np.count_nonzero(given ^ labels)
    return (2 * right / (2 * right + wrong) if right else 0.0), float(np.mean(by_label))


def f1_by_label(given: Labels, labels: Labels) -> npt.NDArray[np.float64]:
    """F1 of each label, [C]; 0 for one that no row has and none is given."""
    right, wrong = (given & labels).sum(axis=0), (given ^ labels).sum(axis=0)
    return np.asarray(2 * right / np.maximum(2 * right + wrong, 1), dtype=np.float64)


def compute_metrics(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.floating]) -> dict[str, float]:
    """``micro_f1`` and ``macro_f1`` at 0.5, both with ``_best`` at the best threshold, and that ``threshold``.

    Logits [N, C], labels [N, C] of 0 and 1.
    """
    scores, right = probabilities(logits), labels > 0
    threshold = best_threshold(scores, right)
    micro, macro = f1_scores(scores >= DEFAULT_THRESHOLD, right)
    best_micro, best_macro = f1_scores(scores >= threshold, right)
    return {"micro_f1": micro, "macro_f1": macro, "micro_f1_best": best_micro, "macro_f1_best": best_macro, "threshold": threshold}


def constant_f1(labels: Sequence[Sequence[int]], classes: int) -> tuple[float, float]:
    """Micro and macro F1 of giving every row the set of labels that is most frequent among those that are not empty."""
    right = np.zeros((len(labels), classes), dtype=np.bool_)
    for row, ids in enumerate(labels):
        right[row, list(ids)] = True
    some = right[right.any(axis=1)]
    if not len(some):
        return 0.0, 0.0
    sets, counts = np.unique(some, axis=0, return_counts=True)
    return f1_scores(np.broadcast_to(sets[counts.argmax()], right.shape), right)
