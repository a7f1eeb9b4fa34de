"""Heat maps as SVG: cells whose depth of colour is their value, with the value written in. Called by ``parts``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pruning.report.curves import drawing
from pruning.report.markup import Html, join, tag

CELL_WIDTH, CELL_HEIGHT, GAP = 42, 26, 2
ZOOM = 1.2
"""Pixels of the page for one unit of a map: all maps have letters of one size, wide ones scroll in narrow windows."""
TOP = 22
LETTER = 6.4
"""Width of a letter of the labels, about."""
_DARK = 0.55
"""Cells above this share of the scale are written on in the paper's colour."""
LEGEND = 46


@dataclass(frozen=True)
class Cell:
    """``depth`` between 0 and 1 is the colour, ``text`` stands in the cell, ``told`` is shown to who points at it."""

    depth: float
    text: str
    told: str


def heat_map(
    title: str, description: str, rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[int, int], Cell],
    *, across: str, scale: tuple[str, str], down: str = "", cell_width: float = CELL_WIDTH,
) -> Html:  # fmt: skip
    """``cells`` by row and column; ``across`` and ``down`` name the columns and rows, ``scale`` the ends of the colours."""
    left = max(LETTER * max(map(len, [*rows, down]), default=0) + 12, 60)
    below = TOP + len(rows) * CELL_HEIGHT
    width = max(left + len(columns) * cell_width, left + LETTER * (len(scale[0]) + len(scale[1])) + 130)
    parts = [
        tag("text", down, x=left - 8, y=TOP - 8, class_="end soft"),
        *(
            tag("text", name, x=left + (i + 0.5) * cell_width - GAP / 2, y=TOP - 8, class_="middle")
            for i, name in enumerate(columns)
        ),
        *(tag("text", name, x=left - 8, y=_y(i) + CELL_HEIGHT / 2 + 4, class_="end") for i, name in enumerate(rows)),
        *(_cell(left + column * cell_width, _y(row), cell_width, cell) for (row, column), cell in cells.items()),
        tag("text", across, x=left, y=below + 14, class_="soft"),
        _scale(left, below + 24, *scale),
    ]
    chart = drawing(title, description, round(width), below + LEGEND, join(*parts), zoom=ZOOM)
    return tag("div", chart, class_="scroll heat", tabindex="0", role="region", aria_label=title)


def _y(row: int) -> float:
    return TOP + row * CELL_HEIGHT


def _cell(x: float, y: float, cell_width: float, cell: Cell) -> Html:
    depth = min(max(cell.depth, 0.0), 1.0)
    width, height = cell_width - GAP, CELL_HEIGHT - GAP
    return tag(
        "g", tag("title", cell.told),
        tag("rect", x=x, y=y, width=width, height=height, fill_opacity=0.04 + 0.96 * depth),
        tag("text", cell.text, x=x + width / 2, y=y + height / 2 + 4, class_="on" if depth > _DARK else None),
        class_="cell",
    )  # fmt: skip


def _scale(x: float, y: float, low: str, high: str) -> Html:
    blocks = [
        tag("rect", x=x + LETTER * len(low) + 8 + i * 10, y=y, width=10, height=10, fill_opacity=0.04 + 0.96 * i / 9)
        for i in range(10)
    ]
    after = x + LETTER * len(low) + 8 + 108
    words = (tag("text", low, x=x, y=y + 9, class_="soft"), tag("text", high, x=after, y=y + 9, class_="soft"))
    return tag("g", *blocks, *words, class_="cell scale")
