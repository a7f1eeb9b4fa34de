"""What a split's evaluation looks like, against scikit-learn and by hand."""

import numpy as np
from sklearn.metrics import confusion_matrix

from pruning.report.scores import MAX_CLASSES, confusion, f1_histogram, spread


def test_a_confusion_matrix_has_true_classes_down() -> None:
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 3, 200).tolist(), random.integers(0, 2, 200).tolist()
    found = confusion(labels, predictions, ("a", "b", "c"))
    assert found == {
        "labels": ["a", "b", "c"],
        "counts": confusion_matrix(labels, predictions, labels=[0, 1, 2]).tolist(),
    }


def test_too_many_classes_have_none() -> None:
    assert confusion([0], [0], [str(i) for i in range(MAX_CLASSES + 1)]) is None


def test_pairs_are_spread_over_the_rows() -> None:
    assert spread([1.0, 2.0], [3.0, 4.0]) == [[1.0, 3.0], [2.0, 4.0]]
    found = spread(range(5000), range(5000))
    assert len(found) == 400
    assert (found[0], found[-1]) == ([0.0, 0.0], [4999.0, 4999.0])


def test_questions_by_f1() -> None:
    answers = ["the red fox", "a red dog", "blue", ""]
    golds = [["red fox"], ["red fox"], ["red fox"], ["red fox"]]
    assert f1_histogram(answers, golds) == [2, 0, 0, 0, 0, 1, 0, 0, 0, 1]
