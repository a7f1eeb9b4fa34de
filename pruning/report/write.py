"""The two files of a report. Called by :mod:`pruning.training.finalize`."""

import json
from pathlib import Path
from typing import Any

from pruning.files import atomic_write
from pruning.report.page import page

JSON_REPORT, HTML_REPORT = "report.json", "report.html"


def write_reports(folder: Path, numbers: dict[str, Any]) -> None:
    """Write what :func:`pruning.report.collect.collect` found as JSON and as a page. Raises OSError."""
    text = json.dumps(numbers, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for name, content in ((JSON_REPORT, text), (HTML_REPORT, page(numbers))):
        with atomic_write(folder / name) as unfinished:
            unfinished.write_text(content, encoding="utf-8")
