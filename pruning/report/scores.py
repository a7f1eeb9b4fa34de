"""What the final evaluation of a split looks like beyond its metrics. Called by :mod:`pruning.report.collect`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pruning.data import squad
from pruning.evaluation.evaluate import Evaluation, Split
from pruning.spec.tasks import Task

MAX_CLASSES = 100
"""Beyond, a confusion matrix is neither legible nor small."""
MAX_POINTS = 400
"""Pairs of a regression that are shown, evenly spread over the rows."""
BINS = 10


def split_scores(evaluation: Evaluation, split: Split, task: Task) -> dict[str, Any]:
    """``split``, ``rows``, ``metrics``, and by kind of task ``confusion``, ``points`` or ``f1_histogram``."""
    labels = split.rows.labels
    told: dict[str, Any] = {"split": split.rows.split, "rows": len(labels), "metrics": evaluation.metrics}
    if task.kind == "span":
        golds = [answers["text"] for answers in labels]
        return told | {"f1_histogram": f1_histogram(evaluation.predictions, golds)}
    if task.kind == "regression":
        return told | {"points": spread(labels, evaluation.predictions)}
    return told | {"confusion": confusion(labels, evaluation.predictions, task.labels or task.label_words)}


def confusion(labels: Sequence[int], predictions: Sequence[int], names: Sequence[str]) -> dict[str, Any] | None:
    """``labels`` (names in class-id order) and ``counts`` [true][predicted]; None for more than MAX_CLASSES classes."""
    if len(names) > MAX_CLASSES:
        return None
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (np.asarray(labels, dtype=np.int64), np.asarray(predictions, dtype=np.int64)), 1)
    return {"labels": list(names), "counts": counts.tolist()}


def spread(labels: Sequence[float], predictions: Sequence[float]) -> list[list[float]]:
    """Up to MAX_POINTS pairs of label and prediction."""
    rows = np.unique(np.linspace(0, len(labels) - 1, min(MAX_POINTS, len(labels))).round().astype(int))
    return [[float(labels[row]), float(predictions[row])] for row in rows]


def f1_histogram(predictions: Sequence[str], golds: Sequence[Sequence[str]]) -> list[int]:
    """Questions by the F1 of their answers: BINS bins from 0 to 1, the last with 1 included."""
    scores = [squad.score([answer], [gold])["f1"] for answer, gold in zip(predictions, golds, strict=True)]
    return [int(count) for count in np.histogram(scores, bins=BINS, range=(0, 1))[0]]
