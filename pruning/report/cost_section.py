"""Section of the report page on cost: sizes of the artifacts, latency of the exports, time of the run.

Called by :mod:`pruning.report.page`.
"""

from typing import Any

from pruning.report.markup import Html, paragraph, section, table, tag
from pruning.report.number_format import NONE, duration, number, percent, size

Numbers = dict[str, Any]
_DESCRIPTIONS = {
    "mask.safetensors": "mask, one bit per weight",
    "mask.espalier": "mask, entropy-coded",
    "weights.safetensors": "weights that the method trained",
    "predictions.jsonl": "predictions on the validation rows",
    "exports.json": "what the exports measured",
}


def costs(numbers: Numbers) -> Html:
    """Files against the checkpoint, latency of the exports, cost of the run."""
    base, cost = numbers["model"]["checkpoint_bytes"], numbers["cost"]
    rows = [("the base model's checkpoint", NONE, size(base), "100 %")]
    for file in numbers["sizes"]:
        share = percent(file["bytes"] / base) if base else NONE
        rows.append(
            (_DESCRIPTIONS.get(file["artifact"], file["artifact"]), file["artifact"], size(file["bytes"]), share)
        )
    spent = (
        f"The run took {duration(cost['seconds'])} for {number(cost['steps'])} steps of {number(cost['rows_per_step'])} rows "
        f"on {cost['device']}, out of {number(cost['train_rows'])} training rows."
    )
    return section(
        "Size, speed and cost", "size",
        tag("div", table(("what", "artifact", "size", "of the checkpoint"), rows, label="Sizes"), class_="words"),
        *_latency(numbers["exports"]),
        paragraph(spent),
    )  # fmt: skip


def _latency(exports: list[Numbers] | None) -> list[Html]:
    if exports is None:
        return [
            paragraph(
                "No export was asked for, so no latency was measured. The mask alone makes a model smaller to store and to "
                "send, not faster: its zeros are multiplied like any other number."
            )
        ]
    rows = [
        (export.get("format", NONE), export.get("device", NONE),
         number(row.get("batch")), number(row.get("tokens")), _ms(row.get("before_ms")),
         _ms(row.get("after_ms")), f"{row['factor']:.2f} ×" if row.get("factor") is not None else NONE)
        for export in exports
        for row in export.get("latency") or ()
    ]  # fmt: skip
    verdicts = [
        (export.get("format", NONE), export.get("artifact") or NONE, size(export.get("bytes")), _same(export.get("equal")),
         tag("span", str(export.get("verdict") or NONE)))
        for export in exports
    ]  # fmt: skip
    made = tag(
        "div",
        table(("export", "artifact", "size", "predicts the same", "verdict"), verdicts, label="Exports"),
        class_="words",
    )
    measured = (
        table(("export", "on", "batch", "tokens", "dense", "export", "factor"), rows, label="Latency") if rows else None
    )
    return [made, measured] if measured is not None else [made]


def _ms(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f} ms"


def _same(equal: float | None) -> str:
    return NONE if equal is None else f"{percent(equal)} of the rows"
