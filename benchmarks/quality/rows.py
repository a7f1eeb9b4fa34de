"""Rows files of the quality benchmark: one JSON object a line, one line for each finished run, never rewritten.

Read by the scheduler, which does not repeat what is there, and by the table. All ``*.jsonl`` files of a folder count, so that
several machines can each append to their own; lines of other programs are passed over, and said.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.quality.cell import Cell

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "benchmarks" / "results" / "quality" / "rows.jsonl"
Row = dict[str, Any]
COLUMNS = set("recipe model task sparsity steps batch seed settings primary_metric metrics heldout one_class curve device".split())
"""What a line needs to be a row; older rows may lack others."""


def read(file: Path) -> list[Row]:
    """The rows of ``file`` and of every other ``*.jsonl`` in its folder, in the order of names and lines.

    Lines that are no rows of this benchmark are passed over, with a note on standard error.
    """
    found: list[Row] = []
    for each in sorted({file, *file.parent.glob("*.jsonl")}):
        if not each.exists():
            continue
        lines = each.read_text("utf-8").splitlines()
        rows = [row for line in lines if (row := _row(line)) is not None]
        if len(rows) < len(lines):
            print(
                f"{each}: {len(lines) - len(rows)} of {len(lines)} lines are no rows of benchmarks.quality and are passed over",
                file=sys.stderr,
            )
        found += rows
    return found


def _row(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and row.keys() >= COLUMNS and isinstance(row["settings"], dict) else None


def append(file: Path, row: Row) -> None:
    """Add a row: one write to the end of the file, so that two programs can append at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab", buffering=0) as lines:
        lines.write(json.dumps(row).encode() + b"\n")


def find(rows: list[Row], cell: Cell) -> Row | None:
    """The newest finished run of ``cell``; None where there is none."""
    return next((row for row in reversed(rows) if cell.is_run_of(row)), None)


def commit() -> str:
    """The commit that is checked out, with ``+changes`` where the code that runs has any; ``unknown`` without git."""
    try:
        found = _git("rev-parse", "--short=10", "HEAD")
        changed = _git("status", "--porcelain", "--", "benchmarks/quality", "pruning")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout.strip()
