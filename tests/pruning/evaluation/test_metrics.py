"""Metrics against values worked out by hand, and the conventions where a value is undefined."""

import numpy as np
import pytest

from pruning.evaluation.metrics import METRICS, compute_metrics, predictions_from_logits
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import resolve_task


def measured(name: str, labels: list[float], predictions: list[float]) -> float:
    return METRICS[name](np.array(labels), np.array(predictions))  # type: ignore[index]


def test_accuracy_is_the_share_of_hits() -> None:
    assert measured("accuracy", [0, 1, 1, 0], [0, 1, 0, 0]) == 0.75


def test_binary_f1_is_that_of_class_one() -> None:
    # 2 hits, 1 false alarm, 2 misses
    assert measured("f1", [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0]) == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))


def test_f1_of_several_classes_is_their_mean() -> None:
    # class 0: 1 of 2 found, none false: 2/3; class 1: 1 found, 1 false: 2/3; class 2: 1
    assert measured("f1", [0, 0, 1, 2], [0, 1, 1, 2]) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_matthews_is_the_correlation_of_the_two_by_two_table() -> None:
    labels, predictions = [1.0] * 6 + [0.0] * 4, [1.0] * 5 + [0.0] + [1.0] * 2 + [0.0] * 2
    hits, misses, alarms, rejections = 5, 1, 2, 2
    by_hand = (hits * rejections - alarms * misses) / np.sqrt(7 * 6 * 4 * 3)
    assert measured("matthews", labels, predictions) == pytest.approx(by_hand)


def test_pearson_and_spearman() -> None:
    labels, predictions = [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 4.0, 9.0]
    assert measured("pearson", labels, predictions) == pytest.approx(np.corrcoef(labels, predictions)[0, 1])
    assert measured("spearman", labels, predictions) == pytest.approx(1)
    assert measured("spearman", labels, predictions[::-1]) == pytest.approx(-1)


@pytest.mark.parametrize(("name", "worst"), [("f1", 0.0), ("matthews", 0.0), ("pearson", 0.0), ("spearman", 0.0)])
@pytest.mark.filterwarnings("error")
def test_predictions_that_are_all_the_same_score_nothing_without_a_warning(name: str, worst: float) -> None:
    assert measured(name, [0, 1, 1, 0], [0, 0, 0, 0]) == worst


def test_predictions_are_the_largest_logit_or_the_number_itself() -> None:
    logits = np.array([[0.1, 0.9], [2.0, -1.0], [0.5, 0.5]], dtype=np.float32)
    assert predictions_from_logits(resolve_task("sst2"), logits).tolist() == [1, 0, 0]
    assert predictions_from_logits(resolve_task("stsb"), logits[:, :1]).tolist() == logits[:, 0].tolist()


def test_a_task_is_scored_by_its_metrics_the_main_one_first() -> None:
    logits = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert list(compute_metrics(resolve_task("mrpc"), logits, np.array([1, 0, 0])).items()) == [
        ("accuracy", pytest.approx(2 / 3)),
        ("f1", pytest.approx(2 / 3)),
    ]
    custom = resolve_task(CustomTask(dataset="d", text=("t",), label_words=("Yes", "No"), metric="matthews"))
    assert list(compute_metrics(custom, logits, np.array([1, 0, 1]))) == ["matthews"]
