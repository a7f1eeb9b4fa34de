"""Ridge regression of a read-out, against closed forms, refitting without each row, and known optima."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from pruning.models.readout_fit import SCALES, fit_readout


def rows(seed: int, count: int, features: int, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, F] and a linear number of them [N]."""
    random = np.random.default_rng(seed)
    given = random.normal(size=(count, features))
    return given, given @ random.normal(size=features) + noise * random.normal(size=count)


def test_without_noise_a_regression_is_its_plane() -> None:
    features, numbers = rows(1, 60, 5, noise=0)
    fit = fit_readout(features + 3, numbers, "regression", 1)
    assert np.allclose((features + 3) @ fit.weight[0] + fit.bias[0], numbers, atol=0.05 * numbers.std())


def test_a_penalty_is_chosen_where_there_are_more_features_than_rows() -> None:
    features, numbers = rows(2, 400, 120, noise=3.0)
    fit = fit_readout(features[:80], numbers[:80], "regression", 1)
    interpolated = np.linalg.lstsq(features[:80], numbers[:80], rcond=None)[0]
    rest = features[80:], numbers[80:]
    error = ((rest[0] @ fit.weight[0] + fit.bias[0] - rest[1]) ** 2).mean()
    assert error < ((rest[0] @ interpolated - rest[1]) ** 2).mean()
    assert error < rest[1].var()


def test_classes_are_distinguished_and_logits_are_calibrated() -> None:
    features, numbers = rows(3, 3000, 8, noise=2.0)
    labels = np.digitize(numbers, [-1.0, 1.0])
    fit = fit_readout(features[:500], labels[:500], "classification", 3)
    logits = features[500:] @ fit.weight.T + fit.bias
    held_out = labels[500:]
    assert (logits.argmax(axis=1) == held_out).mean() > (held_out == np.bincount(held_out).argmax()).mean() + 0.15

    def loss(factor: float) -> float:
        scaled = logits * factor
        return float((np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(scaled)), held_out]).mean())

    assert 0.7 < minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x < 1.4
    assert SCALES[0] < SCALES[-1]


def test_labels_of_a_multilabel_task_have_an_intercept_each() -> None:
    random = np.random.default_rng(4)
    labels = (random.random((600, 2)) < [0.05, 0.6]).astype(np.float32)
    fit = fit_readout(random.normal(size=(600, 4)), labels, "multilabel", 2)
    shares = 1 / (1 + np.exp(-fit.bias))
    assert shares == pytest.approx(labels.mean(axis=0), abs=0.05)


def test_a_class_without_rows_is_the_least_likely() -> None:
    features, numbers = rows(5, 50, 3)
    fit = fit_readout(features, (numbers > 0).astype(np.int64), "classification", 3)
    logits = features @ fit.weight.T + fit.bias
    assert np.isfinite(logits).all()
    assert (logits.argmax(axis=1) != 2).all()


def test_constant_features_give_the_frequencies_of_the_classes() -> None:
    fit = fit_readout(np.ones((9, 4)), np.array([0] * 6 + [1] * 3), "classification", 2)
    logits = np.ones(4) @ fit.weight.T + fit.bias
    assert np.exp(logits)[0] / np.exp(logits).sum() == pytest.approx(7 / 11, abs=1e-3)


def test_one_row_is_no_regression() -> None:
    with pytest.raises(ValueError, match="two rows"):
        fit_readout(np.ones((1, 4)), np.array([0]), "classification", 2)
