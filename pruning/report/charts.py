"""Charts as SVG: line charts over steps, and heat maps with their values written in.

Called by the sections of the page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from pruning.report import number_format
from pruning.report.figures import ZOOM, Drawing, drawing, element

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 36
MAX_POINTS = 300
"""Most points of a line: one for each pixel."""
CELL_WIDTH, CELL_HEIGHT, GAP = 42, 26, 2
HEADER = 22
LETTER = 6.4
"""Approximate width of a letter of the labels."""
_DARK = 0.55
"""Cells above this share of the scale are written on in the paper's colour."""
LEGEND = 46


@dataclass(frozen=True)
class Series:
    """One line; a style of the page's sheet draws it (``line``, ``faint``, ``dashed``, ``dotted``, ``dots``)."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    style: str = "line"


def line_chart(
    title: str,
    description: str,
    series: Sequence[Series],
    *,
    end: float,
    shown: Callable[[float], str] = number_format.number,
    floor: float | None = None,
    ceiling: float | None = None,
    marks: Sequence[int] = (),
    x_label: str = "step",
) -> Drawing:
    """Lines over steps from 0 to ``end``. ``floor`` and ``ceiling`` are included in the scale; ``marks`` are upright lines."""
    values = [y for line in series for y in line.ys if y is not None]
    values += [bound for bound in (floor, ceiling) if bound is not None]
    scale = _scale(values)
    place = _Place(end or 1, scale[0], scale[-1])
    parts = [
        *_grid(place, scale, shown, x_label),
        *(_mark(place, step) for step in marks),
        *(part for line in series for part in _draw(place, line)),
        *_legend(series),
    ]
    return drawing(title, description, WIDTH, HEIGHT, *parts)


@dataclass(frozen=True)
class _Place:
    end: float
    low: float
    high: float

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.end

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - self.low) / (self.high - self.low)


def _scale(values: Sequence[float]) -> list[float]:
    """Round numbers whose first and last enclose all values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1
    steps = number_format.ticks(low, high, 4)
    step = steps[1] - steps[0] if len(steps) > 1 else high - low
    before = [round(steps[0] - step, 12)] if low < steps[0] else []
    return [*before, *steps, *([round(steps[-1] + step, 12)] if high > steps[-1] else [])]


def _grid(place: _Place, scale: Sequence[float], shown: Callable[[float], str], x_label: str) -> list[Element]:
    parts = []
    for value in scale:
        y = place.y(value)
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(element("text", shown(value), x=LEFT - 6, y=y + 4, class_="end"))
    parts += [
        element("text", number_format.number(step), x=place.x(step), y=HEIGHT - BOTTOM + 16, class_="middle")
        for step in number_format.ticks(0, place.end, 4)
    ]
    parts.append(element("text", x_label, x=WIDTH - RIGHT, y=HEIGHT - 4, class_="end soft"))
    return parts


def _mark(place: _Place, step: int) -> Element:
    x = place.x(step)
    return element("line", element("title", f"resumed after step {step:,}"), x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="mark")


def _draw(place: _Place, series: Series) -> list[Element]:
    points = [(x, y) for x, y in zip(series.xs, series.ys, strict=True) if y is not None]
    line = [points[i] for i in number_format.thinned(len(points), MAX_POINTS)]
    path = " ".join(f"{place.x(x):.1f},{place.y(y):.1f}" for x, y in line)
    parts = [element("polyline", points=path, class_=series.style.split()[0])]
    if "dots" in series.style:
        parts += [
            element(
                "circle",
                element("title", f"step {number_format.number(x)}: {number_format.number(y)}"),
                cx=place.x(x),
                cy=place.y(y),
                r=3,
                class_="dot",
            )
            for x, y in line
        ]
    return parts


def _legend(series: Sequence[Series]) -> list[Element]:
    if len(series) < 2:
        return []
    parts, x = [], float(LEFT)
    for line in series:
        style = line.style.split()[0]
        parts.append(element("polyline", points=f"{x:.0f},{HEIGHT - 8} {x + 16:.0f},{HEIGHT - 8}", class_=style))
        parts.append(element("text", line.name, x=x + 20, y=HEIGHT - 4, class_="soft"))
        x += 32 + 6.2 * len(line.name)
    return parts


def smoothed(values: Sequence[float | None], share: float = 0.04) -> list[float | None]:
    """Moving mean over a window of a share of all points."""
    half = max(1, round(len(values) * share / 2))
    means: list[float | None] = []
    for i in range(len(values)):
        window = [value for value in values[max(0, i - half) : i + half + 1] if value is not None]
        means.append(sum(window) / len(window) if window else None)
    return means


@dataclass(frozen=True)
class Cell:
    """``depth`` between 0 and 1 is the colour, ``text`` is written in the cell, ``tooltip`` appears under the pointer."""

    depth: float
    text: str
    tooltip: str


def heat_map(
    title: str,
    description: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[int, int], Cell],
    *,
    across: str,
    scale: tuple[str, str],
    down: str = "",
    cell_width: float = CELL_WIDTH,
) -> Drawing:
    """``cells`` by row and column; ``across`` and ``down`` name the columns and rows, ``scale`` the ends of the colours."""
    left = max(LETTER * max(map(len, [*rows, down]), default=0) + 12, 60)
    below = HEADER + len(rows) * CELL_HEIGHT
    width = max(left + len(columns) * cell_width, left + LETTER * (len(scale[0]) + len(scale[1])) + 130)
    parts = [
        element("text", down, x=left - 8, y=HEADER - 8, class_="end soft"),
        *(
            element("text", name, x=left + (i + 0.5) * cell_width - GAP / 2, y=HEADER - 8, class_="middle")
            for i, name in enumerate(columns)
        ),
        *(element("text", name, x=left - 8, y=_y(i) + CELL_HEIGHT / 2 + 4, class_="end") for i, name in enumerate(rows)),
        *(_cell(left + column * cell_width, _y(row), cell_width, cell) for (row, column), cell in cells.items()),
        element("text", across, x=left, y=below + 14, class_="soft"),
        _colour_scale(left, below + 24, *scale),
    ]
    return drawing(title, description, round(width), below + LEGEND, *parts, zoom=ZOOM)


def _y(row: int) -> float:
    return HEADER + row * CELL_HEIGHT


def _cell(x: float, y: float, cell_width: float, cell: Cell) -> Element:
    depth = min(max(cell.depth, 0.0), 1.0)
    width, height = cell_width - GAP, CELL_HEIGHT - GAP
    return element(
        "g",
        element("title", cell.tooltip),
        element("rect", x=x, y=y, width=width, height=height, fill_opacity=0.04 + 0.96 * depth),
        element("text", cell.text, x=x + width / 2, y=y + height / 2 + 4, class_="on" if depth > _DARK else None),
        class_="cell",
    )


def _colour_scale(x: float, y: float, low: str, high: str) -> Element:
    blocks = [
        element("rect", x=x + LETTER * len(low) + 8 + i * 10, y=y, width=10, height=10, fill_opacity=0.04 + 0.96 * i / 9)
        for i in range(10)
    ]
    after = x + LETTER * len(low) + 8 + 108
    words = (element("text", low, x=x, y=y + 9, class_="soft"), element("text", high, x=after, y=y + 9, class_="soft"))
    return element("g", *blocks, *words, class_="cell scale")
