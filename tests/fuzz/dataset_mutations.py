"""Mutated data sets: odd values, rows and columns, written as JSONL, CSV or Parquet, plain or gzipped, and then damaged.

Called by :mod:`tests.fuzz.cases`, for local folders, for uploads and for the hub.
"""

import csv
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from tests.fuzz.mutations import dump_json, mutate_bytes, mutate_entry, mutate_json, odd_value

ENDINGS = ("jsonl", "jsonl.gz", "csv", "csv.gz", "parquet")
Rows = list[Any]


def mutate_rows(source: random.Random, rows: Rows) -> str:
    """One mutation of the rows of a split."""
    kind = source.choice(("cell", "cell", "cell", "column", "row", "names", "json", "count"))
    number = source.randrange(len(rows)) if rows else 0
    row = rows[number] if rows else None
    if kind == "count" or not isinstance(row, dict) or not row:
        return _count(source, rows)
    name = source.choice(sorted(row))
    if kind == "cell":
        row[name] = odd_value(source)
        return f"row {number + 1} [{name}] = {ascii(row[name])[:40]}"
    if kind == "column":
        value = odd_value(source)
        for each in rows:
            if isinstance(each, dict):
                each[name] = value
        return f"column [{name}] = {ascii(value)[:40]}"
    if kind == "names":
        new = source.choice((name.upper(), f" {name}", "", "\ufeff" + name, "a\x00", "x" * 500, "\ud800"))
        for each in rows if source.random() < 0.6 else [row]:
            if isinstance(each, dict) and name in each:
                each[new] = each.pop(name)
        return f"column {name} is called {new[:20]!r}"
    if kind == "row":
        rows[number] = odd_value(source)
        return f"row {number + 1} = {ascii(rows[number])[:40]}"
    rows[number], what = mutate_json(source, row)
    return f"row {number + 1} {what}"


def _count(source: random.Random, rows: Rows) -> str:
    kept = source.choice((0, 1, 2))
    if rows and source.random() < 0.3:
        rows[:] = rows * 300
        return f"{len(rows)} rows"
    del rows[kept:]
    return f"{kept} rows kept"


def encode(source: random.Random, rows: Rows, ending: str) -> bytes:
    """Rows as a file of the format that ``ending`` names; what the format cannot hold becomes text."""
    if ending == "parquet":
        return _parquet(rows)
    text = _csv(source, rows) if ending.startswith("csv") else b"".join(dump_json(row) + b"\n" for row in rows)
    return gzip.compress(text, mtime=0) if ending.endswith(".gz") else text


def damage(source: random.Random, file: Path) -> str:
    """Damage a file's content, or put something else in its place."""
    if source.random() < 0.3:
        return mutate_entry(source, file)
    changed, what = mutate_bytes(source, file.read_bytes())
    file.write_bytes(changed)
    return f"{file.name}: {what}"


def _csv(source: random.Random, rows: Rows) -> bytes:
    objects = [row for row in rows if isinstance(row, dict)]
    out = io.StringIO()
    separator = source.choice((",", ",", ";", "\t"))
    writer = csv.writer(out, delimiter=separator, lineterminator=source.choice(("\n", "\r\n")))
    names = list(objects[0]) if objects else []
    writer.writerow(names)
    for row in objects:
        cells = [row.get(name) for name in names] + [value for name, value in row.items() if name not in names]
        writer.writerow([json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in cells])
    return out.getvalue().encode("utf-8", "surrogatepass")


def _parquet(rows: Rows) -> bytes:
    objects = [row for row in rows if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in objects for name in row))
    columns = {name.encode("utf-8", "replace").decode(): _array([row.get(name) for row in objects]) for name in names}
    out = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


def _array(values: list[Any]) -> Any:
    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowException, OverflowError, UnicodeError):
        return pyarrow.array([None if value is None else ascii(value) for value in values])
