"""Normalisation: files of every format become the same rows, faults name their row, and decompression is bounded."""

import gzip
import io
import json
import tempfile
from pathlib import Path

import pytest

from api.uploads.confined import ParseLimits
from api.uploads.isolation import columns_of, normalize_splits
from api.uploads.normalize import MAX_FAULTS, SplitFile
from pruning.data.files.formats import FileFormat, TooLargeError, UnknownFormatError, detect_format
from tests.api.uploads.split_files import MOST, ROWS, as_parquet, faults, jsonl, made

CSV = '\ufeffbody,queue\r\n"Grüße, ""all""",1\r\n"two\nlines",0\r\n\r\n"",0\r\n'.encode()
FILES = [
    (FileFormat.JSONL, jsonl(ROWS)),
    (FileFormat.JSONL, b"\n" + jsonl(ROWS).replace(b'": ', b'" :  ')),
    (FileFormat.JSONL, gzip.compress(jsonl(ROWS))),
    (FileFormat.CSV, CSV),
    (FileFormat.CSV, gzip.compress(CSV)),
    (FileFormat.PARQUET, as_parquet(ROWS)),
]


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
    _, _, split = made(FileFormat.JSONL, jsonl([*ROWS, {"body": "x" * 201, "queue": None}]))
    body, queue = columns_of(split)
    assert (split["rows"], body.name, queue.name) == (4, "body", "queue")
    assert body.values is None  # a text, no label
    assert {kind: (seen.rows, seen.first) for kind, seen in queue.kinds.items()} == {"integer": (3, 1), "null": (1, 4)}
    assert [(found.value, found.rows, found.first) for found in queue.values or ()] == [(1, 1, 1), (0, 2, 2)]


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
    ((_, row, detail),) = faults(jsonl(ROWS[:1]) + b"{\n" * 100)
    assert row == 2
    assert "100 rows in all: 2, 3, 4, 5, 6, ..." in detail
    many = b"".join(json.dumps(ROWS[0] | {f"more{n}": 1}).encode() + b"\n" for n in range(100))
    assert len(faults(jsonl(ROWS[:1]) + many)) == MAX_FAULTS


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


def test_truth_values_are_the_same_in_every_format() -> None:
    rows = [{"text": "a", "spam": True}, {"text": "b", "spam": False}]
    expected = made(FileFormat.JSONL, jsonl(rows))
    assert made(FileFormat.CSV, b"text,spam\na,True\nb,False\n") == expected
    assert made(FileFormat.CSV, b"spam,text\ntrue,a\nFALSE,b\n")[:2] == expected[:2]
    assert made(FileFormat.PARQUET, as_parquet(rows)) == expected
    assert made(FileFormat.CSV, b"text,spam\na,True\nb,maybe\n")[1][0]["spam"] == "True"


@pytest.mark.parametrize("limits", [ParseLimits(memory_bytes=140 * 1024 * 1024), ParseLimits(seconds=1)])
def test_a_parser_that_needs_too_much_is_ended(limits: ParseLimits) -> None:
    """One value of many: 300 MB as objects, some seconds of work."""
    content = gzip.compress(b'{"a": [' + b"[[]]," * 3_000_000 + b"1]}\n")
    many = gzip.compress(jsonl(ROWS) * 400_000) if limits.seconds == 1 else content
    upload = {"train": SplitFile(FileFormat.JSONL, io.BytesIO(many))}
    with (
        pytest.raises(TooLargeError, match="memory" if limits.seconds != 1 else r"\b1 s\b"),
        normalize_splits(upload, 10**9, limits),
    ):
        pass


def test_temporary_files_do_not_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made(*FILES[0])
    faults(b"{\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "media_type", "form"),
    [
        ("Train.JSONL.gz", None, FileFormat.JSONL),
        ("a.csv", "application/octet-stream", FileFormat.CSV),
        ("x", "text/csv; charset=utf-8", FileFormat.CSV),
        ("a.parquet", None, FileFormat.PARQUET),
        ("-", "application/x-ndjson", FileFormat.JSONL),
    ],
)
def test_detection_of_the_format(name: str, media_type: str | None, form: FileFormat) -> None:
    assert detect_format(name, media_type) is form
    with pytest.raises(UnknownFormatError):
        detect_format("a.zip", "application/zip")
