"""Drawings keep texts and attributes as they were given; lines stay inside their frame, on a scale of round numbers."""

from xml.etree import ElementTree

import pytest

from pruning.report.charts import BOTTOM, HEIGHT, LEFT, MAX_POINTS, RIGHT, TOP, WIDTH, Cell, Series, heat_map, line_chart, smoothed
from pruning.report.figures import Drawing, drawing, element

EVIL = """"'></title></svg><script>alert(1)</script>&amp;<!--"""


def parts(drawn: Drawing, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(drawn.svg).iter(tag))


@pytest.mark.parametrize(
    "values", [[0.5123, 0.915], [3.0, 3.0], [0.0, 0.0], [-2.0, 5.0, None], [1e-6, 2e-6], [None, None], [1e8, 1.5e8]]
)
def test_everything_is_inside(values: list[float | None]) -> None:
    drawn = line_chart("Title", "text", [Series("a", range(len(values)), values)], end=len(values) - 1)
    (line,) = parts(drawn, "polyline")
    for point in line.attrib["points"].split():
        x, y = map(float, point.split(","))
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    assert len(parts(drawn, "line")) >= 2


def test_long_lines_are_thinned_and_gaps_are_left_out() -> None:
    values = [None if i % 2 else float(i) for i in range(5000)]
    (line,) = parts(line_chart("T", "d", [Series("a", range(5000), values)], end=5000), "polyline")
    assert len(line.attrib["points"].split()) == MAX_POINTS


def test_a_run_without_a_step_has_a_chart() -> None:
    drawn = line_chart("T", "d", [Series("a", [], [])], end=0)
    assert [title.text for title in parts(drawn, "title")] == ["T"]


def test_cells_of_a_heat_map_have_their_values_and_shades() -> None:
    cells = {(0, 0): Cell(0.0, "0.0", "a, 1: none"), (1, 1): Cell(1.0, "9.5", "b, 2: most")}
    drawn = heat_map("M", "d", ["a", "b"], ["1", "2"], cells, across="layer", scale=("0 %", "10 %"))
    drawn_cells = [group for group in parts(drawn, "g") if group.attrib["class"] == "cell"]
    found = [[part.text or part.attrib["fill-opacity"] for part in group] for group in drawn_cells]
    assert found == [["a, 1: none", "0.04", "0.0"], ["b, 2: most", "1", "9.5"]]
    assert {text.text for text in parts(drawn, "text")} >= {"a", "b", "1", "2", "layer", "0 %", "10 %"}


def test_smoothing_keeps_constants_and_gaps() -> None:
    assert smoothed([2.0] * 10) == [2.0] * 10
    assert smoothed([1.0, None, 3.0]) == [1.0, 2.0, 3.0]
    assert smoothed([None, None]) == [None, None]


def test_texts_and_attributes_are_read_back_as_they_were_put_in() -> None:
    inner = element("text", EVIL, element("title", EVIL), data_name=EVIL)
    found = ElementTree.fromstring(drawing(EVIL, EVIL, 10, 20, inner).svg)
    title, description, text = found
    assert (title.text, description.text, text.text, text[0].text) == (EVIL, EVIL, EVIL, EVIL)
    assert text.attrib == {"data-name": EVIL}
    assert [part.tag for part in found.iter()] == ["svg", "title", "desc", "text", "title"]


def test_attributes_are_named_and_rounded() -> None:
    made = element("rect", class_="a", fill_opacity=0.5, x=1.0, y=2.346, fill=None, viewBox="0 0 1 1")
    assert made.attrib == {"class": "a", "fill-opacity": "0.5", "x": "1", "y": "2.35", "viewBox": "0 0 1 1"}


def test_a_drawing_is_as_wide_as_its_place_or_scrolls() -> None:
    place, fixed = drawing("a", "b", 100, 50), drawing("a", "b", 100, 50, zoom=1.5)
    assert (place.scrolls, fixed.scrolls) == (False, True)
    assert ElementTree.fromstring(place.svg).get("width") is None
    assert ElementTree.fromstring(fixed.svg).get("width") == "150"


def test_elements_without_content_are_closed() -> None:
    assert "<line></line>" in drawing("a", "b", 1, 1, element("line")).svg
