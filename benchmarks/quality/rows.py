"""Rows files of the quality benchmark: one JSON object a line, one line for each finished run, never rewritten.

Read by the scheduler, which does not repeat what is there, and by the table. All ``*.jsonl`` files of a folder count, so that
several machines can each append to their own.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.quality.cell import Cell

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "benchmarks" / "results" / "quality" / "rows.jsonl"
Row = dict[str, Any]


def read(file: Path) -> list[Row]:
    """The rows of ``file`` and of every other ``*.jsonl`` beside it, in the order of names and lines."""
    return [
        json.loads(line)
        for each in sorted({file, *file.parent.glob("*.jsonl")})
        if each.exists()
        for line in each.read_text("utf-8").splitlines()
    ]


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
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()
