"""Metrics of the tasks by name, from scikit-learn and SciPy, which are imported when one is used.

Called by :mod:`pruning.evaluation.evaluate`; exact match and F1 of spans are in :mod:`pruning.data.squad`.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from pruning.spec.custom_task import Metric
from pruning.spec.tasks import Task

Values = npt.NDArray[np.floating] | npt.NDArray[np.integer]


def _accuracy(labels: Values, predictions: Values) -> float:
    return float((labels == predictions).mean())


def _f1(labels: Values, predictions: Values, classes: int = 2) -> float:
    """F1 of class 1 where there are two classes, else the mean over the classes."""
    from sklearn.metrics import f1_score

    average = "binary" if classes == 2 and max(labels.max(), predictions.max()) <= 1 else "macro"
    return float(f1_score(labels, predictions, average=average, zero_division=0.0))


def _matthews(labels: Values, predictions: Values) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def _correlation(kind: str) -> Callable[[Values, Values], float]:
    def measure(labels: Values, predictions: Values) -> float:
        from scipy import stats

        if np.ptp(labels) == 0 or np.ptp(predictions) == 0:
            return 0.0  # undefined for a constant; GLUE's scripts would print nan
        return float(getattr(stats, kind)(labels, predictions).statistic)

    return measure


METRICS: dict[Metric, Callable[[Values, Values], float]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _correlation("pearsonr"),
    "spearman": _correlation("spearmanr"),
}


def predictions_from_logits(task: Task, logits: npt.NDArray[np.floating]) -> Values:
    """Class ids by largest logit from [N, C]; for a regression the raw numbers, [N]."""
    return logits[:, 0] if task.kind == "regression" else logits.argmax(axis=1)


def compute_metric(task: Task, name: Metric, labels: Values, predictions: Values) -> float:
    """One metric of a task from predictions [N] and labels [N]."""
    measure = partial(_f1, classes=task.classes) if name == "f1" else METRICS[name]
    return measure(labels, predictions)


def compute_metrics(task: Task, logits: npt.NDArray[np.floating], labels: Values) -> dict[str, float]:
    """Every metric of a task from logits [N, C] and labels [N]; the first one names the result."""
    predictions = predictions_from_logits(task, logits)
    return {name: compute_metric(task, name, labels, predictions) for name in task.metrics}
