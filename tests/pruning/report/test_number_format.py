"""Number format of reports: digits, separators and units."""

from itertools import pairwise

import pytest

from pruning.report import number_format


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0972, "9.7 %"), (0.1, "10 %"), (1.0, "100 %"), (0.0012, "0.12 %"), (0.0, "0 %"), (0.999, "99.9 %"), (None, "–")],
)
def test_percent(share: float | None, shown: str) -> None:
    assert number_format.percent(share) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1234, "1.23 kB"), (440_449_768, "440 MB"), (1e13, "10 TB"), (None, "–")],
)
def test_size(count: float | None, shown: str) -> None:
    assert number_format.size(count) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(3.14, "3.1 s"), (61, "1 min 1 s"), (4980, "1 h 23 min"), (None, "–")])
def test_duration(seconds: float | None, shown: str) -> None:
    assert number_format.duration(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(84934656, "84,934,656"), (0.91512, "0.9151"), (2e-5, "2.00e-05"), (-1.5, "-1.5"), (1e20, "1.00e+20")]
)
def test_number(value: float, shown: str) -> None:
    assert number_format.number(value) == shown


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.37, 0.93), (-3, 3), (0, 25_256), (1e-5, 3e-5)])
def test_ticks_are_few_round_and_inside(low: float, high: float) -> None:
    found = number_format.ticks(low, high, 4)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
    assert len({round(b - a, 12) for a, b in pairwise(found)}) == 1


def test_thinned_keeps_both_ends() -> None:
    assert list(number_format.thinned(3, 5)) == [0, 1, 2]
    chosen = number_format.thinned(1000, 25)
    assert (len(chosen), chosen[0], chosen[-1]) == (25, 0, 999)
    assert [number_format.round_up(value) for value in (0.29, 0.3, 1.0, 7.1, 0)] == [0.3, 0.3, 1.0, 8.0, 1.0]
