"""Rows, files and the way through normalisation that the tests of uploads share."""

import gzip
import io
import json
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from api.uploads.isolation import InvalidRowsError, normalize_splits
from api.uploads.normalize import SplitFile
from pruning.data.files.formats import FileFormat

ROWS = [{"body": 'Grüße, "all"', "queue": 1}, {"body": "two\nlines", "queue": 0}, {"body": "", "queue": 0}]
MOST = 1_000_000


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


def made(form: FileFormat, content: bytes, most: int = MOST) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
    """Digest, rows and summary of a split."""
    with normalize_splits({"train": SplitFile(form, io.BytesIO(content))}, most) as found:
        with gzip.open(found.files["train"]) as lines:
            rows = [json.loads(line) for line in lines]
        return found.sha256, rows, found.splits["train"]


def faults(content: bytes, form: FileFormat = FileFormat.JSONL) -> list[tuple[str, int | None, str]]:
    with pytest.raises(InvalidRowsError) as refusal:
        made(form, content)
    return [(fault.code, fault.row, fault.detail) for fault in refusal.value.faults]
