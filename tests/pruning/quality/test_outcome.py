"""Outcome codes of finished runs, derived from their metrics."""

from dataclasses import replace

import pytest

from pruning.quality.catalog import WARNINGS
from pruning.quality.outcome import Measured, judge

GOOD = Measured("accuracy", 0.80, 872, constant=False, constant_metric=0.509)
CONSTANT = replace(GOOD, value=0.509, constant=True)


@pytest.mark.parametrize(
    ("final", "signal", "codes"),
    [
        (GOOD, 0.5, []),
        (GOOD, 0.05, []),
        (CONSTANT, 0.5, ["predicts_one_class"]),
        (CONSTANT, 0.05, ["predicts_one_class", "scores_are_noise"]),
        (replace(GOOD, value=0.505), None, ["no_better_than_constant"]),
        (replace(GOOD, value=0.54), None, ["no_better_than_constant"]),
        (replace(GOOD, value=0.56), None, []),
        (replace(GOOD, constant_metric=None), 0.05, []),
    ],
)
def test_classes(final: Measured, signal: float | None, codes: list[str]) -> None:
    found = judge("classification", final, signal)
    assert [warning.code for warning in found] == codes
    assert all(warning.remedy == WARNINGS[warning.code].remedy for warning in found)


def test_numbers_that_do_not_spread_and_correlations_near_zero() -> None:
    rating = Measured("pearson", 0.0, 400, constant=True, constant_metric=0.0)
    assert [warning.code for warning in judge("regression", rating, 0.5)] == ["predicts_one_value"]
    near = replace(rating, constant=False, value=0.09)
    assert [warning.code for warning in judge("regression", near, 0.5)] == ["no_better_than_constant"]
    assert judge("regression", replace(near, value=0.2), 0.5) == []
