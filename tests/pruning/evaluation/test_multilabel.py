"""Multi-label metrics: scikit-learn's F1, and the threshold that no other betters."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pruning.evaluation import multilabel


@pytest.mark.parametrize("seed", range(5))
def test_f1_is_that_of_scikit_learn(seed: int) -> None:
    source = np.random.default_rng(seed)
    logits = source.normal(size=(40, 6)).astype(np.float32)
    labels = (source.random((40, 6)) < source.random(6) * 0.6).astype(np.float32)
    labels[:, 5] = 0
    found = multilabel.compute_metrics(logits, labels)
    for suffix, threshold in (("", 0.5), ("_best", found["threshold"])):
        given = multilabel.probabilities(logits) >= threshold
        for kind in ("micro", "macro"):
            expected = f1_score(labels, given, average=kind, zero_division=0.0)
            assert found[f"{kind}_f1{suffix}"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better(seed: int) -> None:
    source = np.random.default_rng(seed)
    scores = source.random((30, 3)).round(1)  # with many that are equal
    labels = source.random((30, 3)) < 0.3 * scores + 0.1
    best, _ = multilabel.f1_scores(scores >= multilabel.best_threshold(scores, labels), labels)
    others = [multilabel.f1_scores(scores >= value, labels)[0] for value in (*np.unique(scores), 1.1)]
    assert best == pytest.approx(max(others), abs=1e-12)


def test_of_equal_thresholds_the_one_nearest_to_a_half() -> None:
    scores = np.array([[0.9, 0.8], [0.1, 0.2]])
    assert multilabel.best_threshold(scores, scores > 0.5) == pytest.approx(0.5)
    assert multilabel.best_threshold(scores, np.zeros((2, 2), dtype=bool)) == 0.5


def test_large_logits_do_not_overflow() -> None:
    found = multilabel.probabilities(np.array([[1000.0, -1000.0, 0.0]], dtype=np.float32))
    assert found.tolist() == [[1.0, 0.0, 0.5]]
    assert multilabel.label_ids(np.array([[3.0, -3.0, 0.0]]), 0.5) == [[0, 2]]


def test_a_constant_gives_the_most_frequent_set() -> None:
    micro, macro = multilabel.constant_f1([[0], [0], [0, 1], []], 2)
    assert (micro, macro) == (pytest.approx(2 * 3 / (4 + 4)), pytest.approx((2 * 3 / 7) / 2))
    assert multilabel.constant_f1([[], []], 2) == (0.0, 0.0)
