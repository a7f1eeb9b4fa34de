"""Drawings: texts and attributes stay what they were, whatever is in them."""

from xml.etree import ElementTree

from pruning.report.figures import drawing, element

EVIL = """"'></title></svg><script>alert(1)</script>&amp;<!--"""


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
