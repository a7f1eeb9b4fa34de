"""Section of the report page on cost: sizes of the artifacts, latency of the exports, time of the run.

Called by :mod:`pruning.report.page`; ``templates/_costs.html`` lays it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pruning.report.figures import Table
from pruning.report.number_format import NONE, number, percent, size

Numbers = dict[str, Any]
_DESCRIPTIONS = {
    "mask.safetensors": "mask, one bit per weight",
    "mask.espalier": "mask, entropy-coded",
    "weights.safetensors": "weights that the method trained",
    "predictions.jsonl": "predictions on the validation rows",
    "exports.json": "what the exports measured",
}


@dataclass(frozen=True)
class Costs:
    """Sizes against the checkpoint, and what exports measured; None where there was no export or no measurement."""

    sizes: Table
    exports: Table | None
    latency: Table | None


def costs(numbers: Numbers) -> Costs:
    """Files against the checkpoint, and latency of the exports."""
    base, exports = numbers["model"]["checkpoint_bytes"], numbers["exports"]
    rows = [("the base model's checkpoint", NONE, size(base), "100 %")]
    for file in numbers["sizes"]:
        share = percent(file["bytes"] / base) if base else NONE
        rows.append((_DESCRIPTIONS.get(file["artifact"], file["artifact"]), file["artifact"], size(file["bytes"]), share))
    sizes = Table("Sizes", ("what", "artifact", "size", "of the checkpoint"), rows, words=True)
    return Costs(sizes, None, None) if exports is None else Costs(sizes, _verdicts(exports), _latency(exports))


def _verdicts(exports: Sequence[Numbers]) -> Table:
    rows = [
        (
            export.get("format", NONE),
            export.get("artifact") or NONE,
            size(export.get("bytes")),
            _same(export.get("equal")),
            str(export.get("verdict") or NONE),
        )
        for export in exports
    ]
    return Table("Exports", ("export", "artifact", "size", "predicts the same", "verdict"), rows, words=True)


def _latency(exports: Sequence[Numbers]) -> Table | None:
    rows = [
        (
            export.get("format", NONE),
            export.get("device", NONE),
            number(row.get("batch")),
            number(row.get("tokens")),
            _ms(row.get("before_ms")),
            _ms(row.get("after_ms")),
            f"{row['factor']:.2f} ×" if row.get("factor") is not None else NONE,
        )
        for export in exports
        for row in export.get("latency") or ()
    ]
    heading = ("export", "on", "batch", "tokens", "dense", "export", "factor")
    return Table("Latency", heading, rows) if rows else None


def _ms(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f} ms"


def _same(equal: float | None) -> str:
    return NONE if equal is None else f"{percent(equal)} of the rows"
