"""Section of the report page on quality: metrics on the validation rows, and by kind of task a confusion matrix, scatter or F1.

Called by :mod:`pruning.report.page`; ``templates/_quality.html`` lays it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pruning.report import number_format
from pruning.report.charts import Cell, heat_map
from pruning.report.figures import ZOOM, Drawing, Figure, Table, drawing, element
from pruning.report.number_format import number

Numbers = dict[str, Any]
MAX_CLASSES = 20
"""Most classes of a confusion matrix that is drawn; larger ones are in report.json."""
_SIDE, _LEFT, _BOTTOM, _TOP = 320, 52, 40, 10


@dataclass(frozen=True)
class Quality:
    """Metrics before and after, and for each split a figure, or None where there are too many classes for one."""

    metrics: Table
    splits: list[Figure | None]


def quality(numbers: Numbers) -> Quality:
    """Metrics before and after, and by kind of task a confusion matrix, a scatter plot or F1 by question."""
    result = numbers["result"]
    tuned = (result.get("baseline") or {}).get("metrics")
    heading = ("metric", "dense, zero-shot", *(("dense, fine-tuned",) if tuned else ()), "final mask")
    rows = [
        (name.replace("_", " "), number(result["before"].get(name)), *((number(tuned.get(name)),) if tuned else ()), number(value))
        for name, value in result["final"].items()
    ]
    metrics = Table("Metrics", heading, rows)
    return Quality(metrics, [_split(split) for split in numbers["scores"]])


def _split(split: Numbers) -> Figure | None:
    where = f"{split['split']}, {number(split['rows'])} rows"
    if "points" in split:
        return Figure(f"Predicted against true values: {where}", _scatter(split["points"], where), wide=True)
    if "f1_histogram" in split:
        return Figure(f"Questions by the F1 of their answer: {where}", *_histogram(split["f1_histogram"], where), wide=True)
    if "labels" in split:
        return Figure(f"F1 of each label: {where}", *_labels(split["labels"], "label", "rows with it", where), wide=True)
    if "entities" in split:
        types = _labels(split["entities"], "type of entity", "in the rows", where)
        return Figure(f"F1 of each type of entity: {where}", *types, wide=True)
    confusion = split["confusion"]
    if confusion is None or len(confusion["labels"]) > MAX_CLASSES:
        return None
    return Figure(f"Confusion matrix: {where}", *_confusion(confusion, where), wide=True)


def _confusion(confusion: Numbers, where: str) -> tuple[Drawing, Table]:
    names, counts = confusion["labels"], confusion["counts"]
    cells = {
        (i, j): Cell(
            count / max(sum(line), 1),
            number(count) if count < 100_000 else f"{count / 1000:,.0f}k",
            f"{names[i]} taken for {names[j]}: {number(count)}, {number_format.percent(count / max(sum(line), 1))} of {names[i]}",
        )
        for i, line in enumerate(counts)
        for j, count in enumerate(line)
    }
    chart = heat_map(
        f"Confusion matrix of {where}",
        "True classes down, predicted classes across; colours are shares of a row.",
        [_short(name, 24) for name in names],
        [_short(name, 13) for name in names],
        cells,
        across="predicted class",
        down="true class",
        scale=("0 %", "100 % of a row"),
        cell_width=84,
    )
    rows = [(name, *(number(count) for count in line)) for name, line in zip(names, counts, strict=True)]
    return chart, Table("Confusion matrix", ("true class", *names), rows)


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _labels(labels: Sequence[Numbers], what: str, there: str, where: str) -> tuple[Drawing, Table]:
    """Bars of the first MAX_CLASSES labels; the table has all. ``what`` they are, and how many are ``there``, in words."""
    shown, width, line = labels[:MAX_CLASSES], 300, 24
    left, floor = 190, _TOP + line * len(shown)
    bars = []
    for i, label in enumerate(shown):
        y = _TOP + i * line
        tooltip = element("title", f"{label['name']}: {number(label['rows'])} {there}, given {number(label['given'])}")
        bars += [
            element("text", _short(label["name"], 24), x=left - 6, y=y + 14, class_="end"),
            element("rect", tooltip, x=left, y=y, width=max(width * label["f1"], 0.5), height=line - 5, class_="bar"),
            element("text", number(label["f1"]), x=left + width * label["f1"] + 6, y=y + 14),
        ]
    more = f" The first {len(shown)} of {len(labels)}." if len(shown) < len(labels) else ""
    chart = drawing(f"F1 of each {what} of {where}", f"From 0 to 1.{more}", left + width + 60, floor, *bars, zoom=ZOOM)
    rows = [(label["name"], *(number(label[key]) for key in ("f1", "rows", "given", "right"))) for label in labels]
    return chart, Table(f"F1 of each {what} of {where}", (what, "F1", there, "given", "right"), rows)


def _scatter(points: Sequence[Sequence[float]], where: str) -> Drawing:
    values = [value for pair in points for value in pair if value is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    high = high if high > low else low + 1

    def at(value: float) -> float:
        return _SIDE * (value - low) / (high - low)

    floor = _TOP + _SIDE
    marks = [
        element(
            "g",
            element("line", x1=_LEFT, x2=_LEFT + _SIDE, y1=floor - at(value), y2=floor - at(value), class_="grid"),
            element("text", number(value), x=_LEFT - 6, y=floor - at(value) + 4, class_="end"),
            element("text", number(value), x=_LEFT + at(value), y=floor + 16, class_="middle"),
        )
        for value in number_format.ticks(low, high, 5)
    ]
    dots = [
        element("circle", cx=_LEFT + at(true), cy=floor - at(guess), r=3, class_="scatter")
        for true, guess in points
        if true is not None and guess is not None
    ]
    diagonal = element("polyline", points=f"{_LEFT},{floor} {_LEFT + _SIDE},{_TOP}", class_="dashed")
    label = element("text", "true value across, prediction up", x=_LEFT + _SIDE, y=floor + 34, class_="end soft")
    return drawing(
        f"Predictions of {where}",
        f"{len(points)} of the rows; on the dashed line a prediction is right.",
        _LEFT + _SIDE + 10,
        floor + _BOTTOM,
        *marks,
        diagonal,
        *dots,
        label,
        zoom=ZOOM,
    )


def _histogram(counts: Sequence[int], where: str) -> tuple[Drawing, Table]:
    most, width = max([*counts, 1]), 30
    floor = _TOP + 150
    bars = []
    for i, count in enumerate(counts):
        x, height = _LEFT + i * width, 140 * count / most
        tooltip = element("title", f"F1 {i / 10:g} to {(i + 1) / 10:g}: {number(count)} questions")
        bars += [
            element("rect", tooltip, x=x, y=floor - height, width=width - 3, height=height, class_="bar"),
            element("text", number(count), x=x + width / 2 - 1.5, y=floor - height - 4, class_="middle"),
            element("text", f"{i / 10:g}", x=x, y=floor + 14, class_="middle"),
        ]
    label = element("text", "F1 of the answer", x=_LEFT + len(counts) * width, y=floor + 32, class_="end soft")
    end = element("text", "1", x=_LEFT + len(counts) * width, y=floor + 14, class_="middle")
    chart = drawing(
        f"F1 by question of {where}",
        f"From no word right to all: {', '.join(map(str, counts))} questions.",
        _LEFT + len(counts) * width + 12,
        floor + _BOTTOM,
        *bars,
        end,
        label,
        zoom=ZOOM,
    )
    rows = [(f"{i / 10:g} to {(i + 1) / 10:g}", number(count)) for i, count in enumerate(counts)]
    return chart, Table("F1 by question", ("F1", "questions"), rows)
