"""Constant predictions: runs that predict one value for all rows are found, with the score of a constant."""

from typing import Any

import numpy as np
import pytest

from pruning.evaluation.constancy import constant_metric, count_predictions, is_constant
from pruning.spec.tasks import resolve_task

SST2, STSB, COLA, SQUAD = (resolve_task(name) for name in ("sst2", "stsb", "cola", "squad"))


def test_rows_are_counted_by_predicted_class_also_classes_that_none_has() -> None:
    assert count_predictions(SST2, [1, 1, 1]) == [0, 3]
    assert count_predictions(STSB, [1.0, 2.0]) is None


@pytest.mark.parametrize(
    ("labels", "predictions", "constant"),
    [([0, 1, 1], [1, 1, 1], True), ([0, 1, 1], [1, 1, 0], False), ([1, 1, 1], [1, 1, 1], False)],
    ids=["one class", "both classes", "labels are all the same"],
)
def test_one_class_for_all_rows_is_constant_unless_it_is_right(labels: list[int], predictions: list[int], constant: bool) -> None:
    assert is_constant(SST2, labels, predictions) is constant


def test_a_regression_is_constant_when_it_hardly_spreads() -> None:
    labels = [0.0, 2.5, 5.0]
    assert is_constant(STSB, labels, [3.1, 3.1001, 3.1002])
    assert not is_constant(STSB, labels, [3.0, 3.1, 3.2])


def test_one_answer_to_every_question_is_constant() -> None:
    labels = [{"text": ["here"]}, {"text": ["there"]}]
    assert is_constant(SQUAD, labels, ["", ""])
    assert not is_constant(SQUAD, labels, ["here", ""])


def test_a_constant_is_worth_the_share_of_the_most_frequent_class_and_no_correlation() -> None:
    labels: Any = np.array([1, 1, 0, 1])
    assert constant_metric(SST2, labels) == 0.75
    assert constant_metric(COLA, labels) == 0.0
    assert constant_metric(STSB, labels.astype(np.float64)) == 0.0
    assert constant_metric(SQUAD, labels) is None
