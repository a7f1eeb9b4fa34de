"""Tables, drawings and figures of a report: what the templates lay out.

Called by :mod:`pruning.report.charts` and the sections of the page. Drawings are SVG, whose elements code makes;
:func:`drawing` escapes them as a whole and is the one place of the report where markup does not come from a template.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, tostring

from markupsafe import Markup

ZOOM = 1.2
"""Pixels of the page for one unit of a drawing of fixed width: all have letters of one size, wide ones scroll in narrow windows."""


@dataclass(frozen=True)
class Drawing:
    """An SVG with a description of its content."""

    title: str
    svg: Markup
    scrolls: bool
    """Whether its width is fixed; otherwise it is as wide as its place on the page."""


@dataclass(frozen=True)
class Table:
    """Cells of the first column are row headings."""

    label: str
    """Description for screen readers, unique on a page."""
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False
    """Cells are words, which are left-aligned and wrap; otherwise they are numbers."""


@dataclass(frozen=True)
class Figure:
    """A drawing under its caption; its table can be opened below it."""

    caption: str
    drawing: Drawing
    table: Table | None = None
    wide: bool = False
    """Takes the width of the page; otherwise figures are placed side by side."""


def element(name: str, *children: Element | str, **attributes: str | float | None) -> Element:
    """An element. A string is its text, placed before its other children.

    Attributes: ``class_`` is ``class``, other underscores are hyphens, numbers lose needless digits, None is left out.
    """
    made = Element(
        name, {key.rstrip("_").replace("_", "-"): _value(value) for key, value in attributes.items() if value is not None}
    )
    for child in children:
        if isinstance(child, str):
            made.text = child
        else:
            made.append(child)
    return made


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def drawing(title: str, description: str, width: float, height: float, *content: Element, zoom: float | None = None) -> Drawing:
    """The drawing of ``content``; no two of a page may have one title.

    It is as wide as its place on the page, or with ``zoom`` that many pixels for each unit.
    """
    name = re.sub(r"[^a-z0-9]+", "-", title.lower())
    svg = element(
        "svg",
        element("title", title, id=f"{name}-t"),
        element("desc", description, id=f"{name}-d"),
        *content,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        width=zoom and zoom * width,
        aria_labelledby=f"{name}-t {name}-d",
    )
    # not <line/>: a parser of HTML would leave such an element open outside of an SVG
    written = tostring(svg, encoding="unicode", method="xml", short_empty_elements=False)
    return Drawing(title, Markup(written), zoom is not None)  # noqa: S704 - ElementTree escaped every text and attribute
