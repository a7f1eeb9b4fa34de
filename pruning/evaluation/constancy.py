"""Constant predictions: how many rows each class gets, whether all rows get the same, and what a constant would be worth.

A model that has learned nothing often predicts one class for every row, and its accuracy is then the share of that class, which
can look like a result. Called by :mod:`pruning.evaluation.evaluate` with every evaluation.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from pruning.data.iob import entities
from pruning.evaluation.metrics import compute_metric
from pruning.evaluation.multilabel import constant_f1
from pruning.spec.tasks import Task

_SPREAD = 0.01
"""Regression: predictions are constant if their standard deviation is below this share of the labels'."""


def count_predictions(task: Task, predictions: Sequence[Any]) -> list[int] | None:
    """Rows that were given each class or label, by its id; None for tasks without classes."""
    if task.kind not in ("classification", "multilabel"):
        return None
    given = predictions if task.kind == "classification" else [label for row in predictions for label in row]
    counts = np.bincount(np.asarray(given, dtype=np.int64), minlength=task.classes)
    return [int(count) for count in counts]


def is_constant(task: Task, labels: Sequence[Any], predictions: Sequence[Any]) -> bool:
    """Whether all rows get the same prediction although their labels differ.

    A regression's numbers count as the same if they spread by less than a hundredth of what the labels do. Spans: one answer to
    all questions. Token classification: no entity.
    """
    if task.kind == "token-classification":
        return any(map(entities, labels)) and not any(map(entities, predictions))
    if task.kind == "multilabel":
        return len({tuple(row) for row in labels}) > 1 and len({tuple(row) for row in predictions}) == 1
    if task.kind == "span":
        right = {tuple(answers["text"]) for answers in labels}
        return len(right) > 1 and len(set(predictions)) == 1
    if np.ptp(np.asarray(labels)) == 0:
        return False
    if task.kind == "regression":
        return bool(np.std(predictions) < _SPREAD * np.std(labels))
    return len(set(predictions)) == 1


def _most_frequent_share(rows: Sequence[Sequence[str]]) -> float:
    counts = Counter(tag for row in rows for tag in row)
    return max(counts.values()) / counts.total()


def constant_metric(task: Task, labels: Sequence[Any]) -> float | None:
    """The task's first metric if every row were given the most frequent class or set of labels; 0 for a regression, None for
    spans.

    For accuracy it is the share of that class; correlations are 0. A set of labels that is empty does not count.
    """
    if task.kind == "span" and task.no_answers and len(labels):
        return sum(not answers["text"] for answers in labels) / len(labels)
    if task.kind == "span" or not len(labels):
        return None
    if task.kind == "token-classification":
        return 0.0 if task.metrics[0] != "token_accuracy" else _most_frequent_share(labels)
    if task.kind == "regression":
        return 0.0
    if task.kind == "multilabel":
        micro, macro = constant_f1(labels, task.classes)
        return macro if task.metrics[0] == "macro_f1" else micro
    ids = np.asarray(labels, dtype=np.int64)
    return compute_metric(task, task.metrics[0], ids, np.full_like(ids, np.bincount(ids).argmax()))
