"""Section of the report page on training: curves of loss, density, validation metric, gradient norm and schedule.

Called by :mod:`pruning.report.page`; ``templates/_training.html`` lays it out.
"""

from collections.abc import Callable, Sequence
from typing import Any

from pruning.report import number_format
from pruning.report.charts import Series, line_chart, smoothed
from pruning.report.figures import Figure, Table
from pruning.report.number_format import NONE, number, percent

_TABLE_ROWS = 25
_SHOWN_CLASSES = 10
Numbers = dict[str, Any]


def training(numbers: Numbers) -> list[Figure]:
    """Curves over the steps; none for a method that takes no step."""
    curves, end = numbers["curves"], numbers["cost"]["steps"]
    if not curves["step"]:
        return []
    return [
        _loss(curves, end),
        _remaining(numbers, end),
        _metric(numbers, end),
        _plain(curves, end, "Gradient norm of the scores", "grad_norm", number),
        _plain(curves, end, "Mean of the regulariser", "regularizer", number),
        _plain(curves, end, "Learning rate", "learning_rate", number),
        *_signal(numbers, end),
    ]


def class_weights(numbers: Numbers) -> Table | None:
    """Weight of each class in the loss; None where all rows have equal weight."""
    weights = numbers["data"]["class_weights"]
    if weights is None:
        return None
    rows = [(row["class"], number(row["rows"]), NONE if row["weight"] is None else number(row["weight"])) for row in weights]
    return Table("Class weights", ("class", "training rows", "weight in the loss"), rows)


def _loss(curves: Numbers, end: int) -> Figure:
    steps, loss = curves["step"], curves["loss"]
    chart = line_chart(
        "Loss",
        f"Task loss over {number(end)} steps, from {number(loss[0])} to {number(loss[-1])}.",
        [Series("loss", steps, loss, "faint"), Series("smoothed", steps, smoothed(loss))],
        end=end,
        marks=curves["resumed"],
    )
    return Figure("Task loss", chart, _thin(("step", "loss"), (steps, loss)))


def _remaining(numbers: Numbers, end: int) -> Figure:
    curves, result = numbers["curves"], numbers["result"]
    steps, remaining = [0, *curves["step"]], [1.0, *curves["remaining"]]
    chart = line_chart(
        "Remaining weights",
        f"Share of masked weights kept, from 100 % to {percent(result['remaining'])}.",
        [Series("kept", steps, remaining)],
        end=end,
        shown=percent,
        floor=0.0,
        ceiling=1.0,
        marks=curves["resumed"],
    )
    return Figure("Weights kept", chart, _thin(("step", "kept"), (steps, remaining), percent))


def _metric(numbers: Numbers, end: int) -> Figure:
    metric = numbers["result"]["primary_metric"]
    rows = [row for row in numbers["evaluations"] if row["metrics"].get(metric) is not None]
    trained = sorted((row for row in rows if row["stage"] != "before"), key=lambda row: row["step"])
    xs, ys = [row["step"] for row in trained], [row["metrics"][metric] for row in trained]
    before = numbers["result"]["before"].get(metric)
    tuned = ((numbers["result"].get("baseline") or {}).get("metrics") or {}).get(metric)
    dense = [
        Series(label, [0, end], [value, value], style)
        for label, value, style in (("dense, zero-shot", before, "dashed"), ("fine-tuned", tuned, "dotted"))
        if value is not None
    ]
    name = metric.replace("_", " ")
    result = numbers["result"]
    chosen = f" The line marks step {number(result['kept_step'])}, whose mask was kept." if result.get("last") else ""
    chart = line_chart(
        f"Validation {name}",
        f"{name} of the masks on the validation rows; {number(ys[-1]) if ys else NONE} at the end.{chosen}",
        [Series("masked", xs, ys, "line dots"), *dense],
        end=end,
        marks=[result["kept_step"]] if chosen else (),
    )
    every = sorted({key for row in rows for key in row["metrics"]})
    alternative = Table(
        "Evaluations",
        ("step", "stage", "kept", *every, "rows by predicted class"),
        [
            (
                number(row["step"]),
                row["stage"],
                percent(row["remaining"]),
                *(number(row["metrics"].get(key)) for key in every),
                _predicted(row),
            )
            for row in rows
        ],
    )
    return Figure(f"Validation {name}", chart, alternative)


def _predicted(row: Numbers) -> str:
    counts = row.get("predicted")
    if counts is None or len(counts) > _SHOWN_CLASSES:
        return "the same for all rows" if row.get("constant_prediction") else NONE
    return " / ".join(number(count) for count in counts)


def _signal(numbers: Numbers, end: int) -> list[Figure]:
    """Signal-to-noise of the scores' gradients over the steps, where it was measured."""
    points = numbers["curves"]["signal_to_noise"]
    if not points["value"]:
        return []
    steps, values, noise = points["step"], points["value"], numbers["curves"]["noise_floor"]
    chart = line_chart(
        "Signal-to-noise of the scores",
        f"Mean of squared mean over mean square of the scores' gradients, {number(values[-1])} at the end; "
        f"noise alone gives {number(noise)}.",
        [Series("measured", steps, values), Series("noise alone", [0, end], [noise, noise], "dashed")],
        end=end,
        floor=0.0,
        marks=numbers["curves"]["resumed"],
    )
    return [Figure("Signal-to-noise of the scores", chart, _thin(("step", "signal-to-noise"), (steps, values)))]


def _plain(curves: Numbers, end: int, caption: str, key: str, shown: Callable[[float | None], str]) -> Figure:
    steps, values = curves["step"], curves[key]
    described = f"{caption} over {number(end)} steps, from {shown(values[0])} to {shown(values[-1])}."
    chart = line_chart(caption, described, [Series(key, steps, values)], end=end, shown=shown, floor=0.0)
    return Figure(caption, chart, _thin(("step", caption.lower()), (steps, values)))


def _thin(heading: Sequence[str], columns: Sequence[Sequence[Any]], shown: Callable[[Any], str] = number) -> Table:
    """Some of the points; all are in report.json."""
    chosen = number_format.thinned(len(columns[0]), _TABLE_ROWS)
    rows = [(number(columns[0][i]), *(shown(column[i]) for column in columns[1:])) for i in chosen]
    return Table(heading[1], heading, rows)
