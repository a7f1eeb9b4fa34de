"""Report of a run as ``report.json`` and as ``report.html``: one file without network requests and scripts.

Called by :mod:`pruning.training.finalize`. Names in the page come from users (models, labels, data sets): the templates escape
all of them, as the drawings do, and a Content Security Policy allows this file's own style sheet alone.
"""

import json
from pathlib import Path
from typing import Any

from pruning.files import atomic_write
from pruning.report.cost_section import costs
from pruning.report.density_section import density
from pruning.report.figures import Table
from pruning.report.quality_section import quality
from pruning.report.rendering import policy, style_sheet, template_environment
from pruning.report.training_section import class_weights, training

JSON_REPORT, HTML_REPORT = "report.json", "report.html"
_ROWS = 100
"""Numbers of skipped rows that the page has for each reason; ``report.json`` has more."""
_TEMPLATES = template_environment(Path(__file__).parent / "templates")


def write_reports(folder: Path, numbers: dict[str, Any]) -> None:
    """Write what :func:`pruning.training.report_data.report_data` found as JSON and as a page. Raises OSError."""
    text = json.dumps(numbers, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for name, content in ((JSON_REPORT, text), (HTML_REPORT, page(numbers))):
        with atomic_write(folder / name) as unfinished:
            unfinished.write_text(content, encoding="utf-8")


def page(numbers: dict[str, Any]) -> str:
    """The whole document; ``numbers`` as :func:`pruning.training.report_data.report_data` gives them."""
    return _TEMPLATES.get_template("report.html").render(
        numbers=numbers,
        policy=policy(),
        style_sheet=style_sheet(),
        spec=json.dumps(numbers["spec"], indent=2, ensure_ascii=False),
        warnings=_warnings(numbers["warnings"]),
        skipped=_skipped(numbers["data"]),
        training=training(numbers),
        class_weights=class_weights(numbers),
        density=density(numbers),
        quality=quality(numbers),
        costs=costs(numbers),
    )


def _skipped(data: dict[str, Any]) -> Table | None:
    """Skipped rows by split and reason, with their first numbers; None where none was skipped."""
    rows = [
        (
            split["where"],
            f"{reason['count']:,} of {split['rows']:,}",
            reason["meaning"],
            ", ".join(map(str, reason["rows"][:_ROWS])) + (" …" if reason["count"] > _ROWS else ""),
            reason["example"],
        )
        for split in data.get("skipped", ())
        for reason in split["reasons"]
    ]
    heading = ("split", "rows", "reason", "their numbers", "message on the first")
    return Table("Skipped rows", heading, rows, words=True) if rows else None


def _warnings(warnings: list[dict[str, Any]]) -> Table | None:
    """Reasons to doubt the result; None where there is none."""
    rows = [(warning["message"], warning["remedy"], warning["code"]) for warning in warnings]
    return Table("Warnings", ("warning", "what to do", "code"), rows, words=True) if rows else None
