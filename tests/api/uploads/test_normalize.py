"""Normalisation: files of every format become the same rows, faults name their row, and decompression is bounded."""

import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from api.uploads import normalize
from api.uploads.formats import FileFormat, TooLargeError, UnknownFormatError, detect_format
from api.uploads.normalize import MAX_FAULTS, InvalidRowsError, SplitFile, columns_of, normalize_splits

ROWS = [{"body": 'Grüße, "all"', "queue": 1}, {"body": "two\nlines", "queue": 0}, {"body": "", "queue": 0}]
MOST = 1_000_000


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


CSV = '\ufeffbody,queue\r\n"Grüße, ""all""",1\r\n"two\nlines",0\r\n\r\n"",0\r\n'.encode()
FILES = [
    (FileFormat.JSONL, jsonl(ROWS)),
    (FileFormat.JSONL, b"\n" + jsonl(ROWS).replace(b'": ', b'" :  ')),
    (FileFormat.JSONL, gzip.compress(jsonl(ROWS))),
    (FileFormat.CSV, CSV),
    (FileFormat.CSV, gzip.compress(CSV)),
    (FileFormat.PARQUET, as_parquet(ROWS)),
]


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


def test_every_format_gives_the_same_data_set() -> None:
    expected = made(*FILES[0])
    assert expected[1] == ROWS
    assert all(made(*file) == expected for file in FILES)
    assert made(FileFormat.JSONL, jsonl(ROWS[::-1]))[0] != expected[0]


def test_split_names_are_content_and_the_order_of_columns_is_not() -> None:
    turned = jsonl([dict(reversed(row.items())) for row in ROWS])
    assert made(FileFormat.JSONL, turned)[0] == made(*FILES[0])[0]
    with normalize_splits({"dev": SplitFile(FileFormat.JSONL, io.BytesIO(jsonl(ROWS)))}, MOST) as found:
        assert found.sha256 != made(*FILES[0])[0]


def test_columns_are_known_with_the_first_row_of_everything() -> None:
    _, _, split = made(FileFormat.JSONL, jsonl([*ROWS, {"body": "x" * 101, "queue": None}]))
    body, queue = columns_of(split)
    assert (split["rows"], body.name, queue.name) == (4, "body", "queue")
    assert body.values is None  # a text, no label
    assert {kind: (seen.rows, seen.first) for kind, seen in queue.kinds.items()} == {"integer": (3, 1), "null": (1, 4)}
    assert [(found.value, found.rows, found.first) for found in queue.values or ()] == [(1, 1, 1), (0, 2, 2)]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2"], [1, -2]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1", ""], [1, None]),
        (["007", "1"], ["007", "1"]),
        (["1", "x"], ["1", "x"]),
        (["", ""], ["", ""]),
        (["nan", "1"], ["nan", "1"]),
    ],
)
def test_cells_of_csv_become_numbers_where_all_are(cells: list[str], values: list[Any]) -> None:
    content = "text,label\n" + "".join(f"t,{cell}\n" for cell in cells)
    assert [row["label"] for row in made(FileFormat.CSV, content.encode())[1]] == values


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"body": "x"}', "has no column 'queue'"),
        (b'{"body": "x", "queue": 1, "more": 1}', "has a column 'more'"),
        (b'{"body": "x", "queue": NaN}', "not finite"),
        (b'{"body": "\\u0000", "queue": 1}', "NUL"),
        (b'{"body": "\\ud800", "queue": 1}', "surrogate"),
        (b'{"body": "\xff", "queue": 1}', "is not JSON"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(line: bytes, words: str) -> None:
    ((code, row, detail),) = faults(jsonl(ROWS[:2]) + line + b"\n" + jsonl(ROWS[:1]))
    assert (code, row) == ("rows_invalid", 3)
    assert words in detail
    assert detail.startswith("train: row 3 ")


def test_faults_are_reported_up_to_a_limit() -> None:
    found = faults(jsonl(ROWS[:1]) + b"{\n" + jsonl(ROWS[:1]) + b"[]\n")
    assert [row for _, row, _ in found] == [2, 4]
    assert len(faults(jsonl(ROWS[:1]) + b"{\n" * 100)) == MAX_FAULTS


@pytest.mark.parametrize(
    ("form", "content", "code"),
    [
        (FileFormat.JSONL, b"", "rows_missing"),
        (FileFormat.CSV, b"a,b\n", "rows_missing"),
        (FileFormat.CSV, b"", "file_unreadable"),
        (FileFormat.CSV, b"a,a\n1,2\n", "file_unreadable"),
        (FileFormat.CSV, b"a,b\n1\n", "rows_invalid"),
        (FileFormat.CSV, b'a,b\n"1"2,3\n', "rows_invalid"),
        (FileFormat.CSV, b"a,b\n\xff,1\n", "file_unreadable"),
        (FileFormat.JSONL, gzip.compress(jsonl(ROWS * 50))[:-20], "file_unreadable"),
        (FileFormat.JSONL, b"\x1f\x8bnothing", "file_unreadable"),
        (FileFormat.PARQUET, b"PAR1 or not", "file_unreadable"),
        (FileFormat.PARQUET, as_parquet(ROWS)[:-30], "file_unreadable"),
        (FileFormat.PARQUET, as_parquet([{"a": b"bytes"}]), "rows_invalid"),
        (FileFormat.JSONL, b"{}\n", "rows_invalid"),
        (FileFormat.JSONL, json.dumps({"x" * 101: 1}).encode(), "rows_invalid"),
    ],
)
def test_files_that_cannot_be_used(form: FileFormat, content: bytes, code: str) -> None:
    assert faults(content, form)[0][0] == code


def test_files_that_are_small_only_while_compressed_are_refused() -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    with pytest.raises(TooLargeError):
        made(FileFormat.JSONL, bomb)
    rows = [{"text": "x" * 10_000}] * 1000
    with pytest.raises(TooLargeError):
        made(FileFormat.PARQUET, as_parquet(rows))
    with pytest.raises(TooLargeError):
        made(FileFormat.JSONL, jsonl(ROWS), most=40)


def test_temporary_files_do_not_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(normalize.tempfile, "tempdir", str(tmp_path))
    made(*FILES[0])
    faults(b"{\n")
    assert list(tmp_path.iterdir()) == []


def test_a_service_without_pyarrow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnknownFormatError, match="cannot read Parquet"):
        made(FileFormat.PARQUET, as_parquet(ROWS))


@pytest.mark.parametrize(
    ("name", "media_type", "form"),
    [
        ("Train.JSONL.gz", None, FileFormat.JSONL), ("a.csv", "application/octet-stream", FileFormat.CSV),
        ("x", "text/csv; charset=utf-8", FileFormat.CSV),
        ("a.parquet", None, FileFormat.PARQUET), ("-", "application/x-ndjson", FileFormat.JSONL),
    ],
)  # fmt: skip
def test_detection_of_the_format(name: str, media_type: str | None, form: FileFormat) -> None:
    assert detect_format(name, media_type) is form
    with pytest.raises(UnknownFormatError):
        detect_format("a.zip", "application/zip")
