"""Lines stay inside their frame, on a scale of round numbers, whatever the values."""

import re

import pytest

from pruning.report.charts import BOTTOM, HEIGHT, LEFT, MAX_POINTS, RIGHT, TOP, WIDTH, Series, line_chart, smoothed


@pytest.mark.parametrize(
    "values", [[0.5123, 0.915], [3.0, 3.0], [0.0, 0.0], [-2.0, 5.0, None], [1e-6, 2e-6], [None, None], [1e8, 1.5e8]]
)
def test_everything_is_inside(values: list[float | None]) -> None:
    drawn = line_chart("Title", "text", [Series("a", range(len(values)), values)], end=len(values) - 1)
    (path,) = re.findall(r'<polyline points="([^"]*)"', drawn)
    for point in path.split():
        x, y = map(float, point.split(","))
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    assert drawn.count('class="grid"') >= 2


def test_long_lines_are_thinned_and_gaps_are_left_out() -> None:
    values = [None if i % 2 else float(i) for i in range(5000)]
    (path,) = re.findall(r'points="([^"]*)"', line_chart("T", "d", [Series("a", range(5000), values)], end=5000))
    assert len(path.split()) == MAX_POINTS


def test_a_run_without_a_step_has_a_chart() -> None:
    assert line_chart("T", "d", [Series("a", [], [])], end=0).startswith("<svg")


def test_smoothing_keeps_constants_and_gaps() -> None:
    assert smoothed([2.0] * 10) == [2.0] * 10
    assert smoothed([1.0, None, 3.0]) == [1.0, 2.0, 3.0]
    assert smoothed([None, None]) == [None, None]
