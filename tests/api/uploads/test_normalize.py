"""Normalisation: files of every format become the same rows, faults name their row, and decompression is bounded."""

import datetime
import gzip
import io
import json
import resource
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from api.uploads import isolation
from api.uploads.isolation import InvalidRowsError, ParseLimits, columns_of, normalize_splits
from api.uploads.normalize import MAX_FAULTS, SplitFile
from pruning.data.files.formats import FileFormat, TooLargeError, UnknownFormatError, detect_format
from pruning.data.files.parquet import read_parquet

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


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("text;label\ngut, sehr;1\nschlecht;0\n", "semicolon"), ("text\tlabel\ngut, sehr\t1\nschlecht\t0\n", "tab"),
        ("sep=;\ntext;label\ngut, sehr;1\nschlecht;0\n", "semicolon"), ("text|label\r\ngut, sehr|1\r\nschlecht|0\r\n", "bar"),
        ('text, label\n"gut, sehr", 1\nschlecht, 0\n', "blanks"), ('label,text\n1, "gut, sehr"\n0, schlecht\n', "blanks"),
        (',text,label\n0,"gut, sehr",1\n1,schlecht,0\n', "column 1 is left out"),
        ('text,label,\n"gut, sehr",1,\nschlecht,0,\n', "column 3 is left out"),
        ('text,label\n"gut, sehr",1,\nschlecht,0,\n', "empty cell at the end"),
        (' text ,label \n"gut, sehr", 1 \nschlecht,0\n', ""),
    ],
)  # fmt: skip
def test_dialects_of_csv_are_told_from_the_first_lines(content: str, note: str) -> None:
    _, rows, split = made(FileFormat.CSV, content.encode("utf-8-sig"))
    assert rows == [{"text": "gut, sehr", "label": 1}, {"text": "schlecht", "label": 0}]
    assert any(note in said for said in split["notes"]) if note else split["notes"] == []


@pytest.mark.parametrize("content", ["a;b,c\nx;y,z\n", "a,b;c\n1;2,3\n", ",text\nsome,x\n", "text,,label\nx,y,1\n"])
def test_a_header_that_could_mean_two_things_is_refused(content: str) -> None:
    ((code, _, detail),) = faults(content.encode(), FileFormat.CSV)
    assert code == "file_unreadable"
    assert "separator" in detail or "no name" in detail or "name every column" in detail


def test_cells_are_as_long_as_rows_may_be() -> None:
    text = "x" * 140_000
    assert made(FileFormat.CSV, f"text,label\n{text},1\n".encode())[1] == [{"text": text, "label": 1}]


def test_truth_values_are_the_same_in_every_format() -> None:
    rows = [{"text": "a", "spam": True}, {"text": "b", "spam": False}]
    expected = made(FileFormat.JSONL, jsonl(rows))
    assert made(FileFormat.CSV, b"text,spam\na,True\nb,False\n") == expected
    assert made(FileFormat.CSV, b"spam,text\ntrue,a\nFALSE,b\n")[:2] == expected[:2]
    assert made(FileFormat.PARQUET, as_parquet(rows)) == expected
    assert made(FileFormat.CSV, b"text,spam\na,True\nb,maybe\n")[1][0]["spam"] == "True"


def test_columns_of_any_arrow_type_are_stored_or_left_out_and_named() -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5)
    table = pyarrow.table(
        {
            "text": ["a", None], "score": [1.5, float("nan")], "at": [when, None], "day": [when.date()] * 2,
            "price": pyarrow.array([Decimal("1.50"), None], pyarrow.decimal128(3, 2)),
            "long": pyarrow.array([Decimal("123456789012345678.50"), None], pyarrow.decimal128(30, 2)),
            "kind": pyarrow.array(["u", "v"]).dictionary_encode(), "blob": [b"x", b"y"],
            "list": [[1.0, float("nan")], None], "blobs": [[b"x"], []],
        }
    )  # fmt: skip
    out = io.BytesIO()
    parquet.write_table(table, out)
    _, rows, split = made(FileFormat.PARQUET, out.getvalue())
    assert rows[1] == {
        "text": None, "score": None, "at": None, "day": "2026-01-02", "price": None, "long": None, "kind": "v", "list": None,
    }  # fmt: skip
    assert (rows[0]["price"], rows[0]["long"], rows[0]["list"]) == (1.5, "123456789012345678.50", [1.0, None])
    assert rows[0]["at"].startswith("2026-01-02 03:04:05")
    said = " ".join(split["notes"])
    for name in ("at", "day", "price", "long", "blob", "blobs"):
        assert f"column {name!r} (" in said
    assert "column 'score': what is not a number is stored as null" in split["notes"]
    assert len(split["notes"]) == 7


def test_a_parquet_file_with_too_many_columns_is_refused_before_it_is_read() -> None:
    ((code, row, detail),) = faults(as_parquet([{f"c{n}": 1 for n in range(201)}]), FileFormat.PARQUET)
    assert (code, row) == ("file_unreadable", None)
    assert "201 columns" in detail


def test_parquet_is_read_by_the_thread_that_asks_for_it() -> None:
    """A thread of Arrow's that still holds a file when the process ends aborts it."""
    threads: set[int] = set()

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            threads.add(threading.get_ident())
            return super().read(size)

    assert list(read_parquet(Watched(as_parquet(ROWS)), MOST, [])) == ROWS
    assert threads == {threading.get_ident()}


def test_many_wide_columns_from_a_small_dictionary_stay_within_memory() -> None:
    """In a process of its own, because the largest child of this one may be another test's."""
    done = subprocess.run(
        [sys.executable, "-c", "from tests.api.uploads.test_normalize import refuse_wide_columns as test; print(test())"],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 900 * 1024


def refuse_wide_columns() -> int:
    """Each column of 1000 rows holds one text of 64 KiB: 5 KiB on disk, 2 GiB as values. The largest child's memory in KiB."""
    texts = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1000, pyarrow.int8()), ["x" * 65_536])
    table = pyarrow.table({f"c{n}": texts for n in range(32)})
    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd")
    assert out.tell() < 30_000
    with pytest.raises(TooLargeError):
        made(FileFormat.PARQUET, out.getvalue())
    with pytest.raises(TooLargeError, match="unpacked"):
        made(FileFormat.PARQUET, out.getvalue(), 64 * 1024 * 1024)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


@pytest.mark.parametrize("limits", [ParseLimits(memory_bytes=140 * 1024 * 1024), ParseLimits(seconds=1)])
def test_a_parser_that_needs_too_much_is_ended(limits: ParseLimits) -> None:
    """One value of many: 300 MB as objects, some seconds of work."""
    content = gzip.compress(b'{"a": [' + b"[[]]," * 3_000_000 + b"1]}\n")
    many = gzip.compress(jsonl(ROWS) * 400_000) if limits.seconds == 1 else content
    upload = {"train": SplitFile(FileFormat.JSONL, io.BytesIO(many))}
    with pytest.raises(TooLargeError, match=r"memory|takes more than 1 s"), normalize_splits(upload, 10**9, limits):
        pass


def test_temporary_files_do_not_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(isolation.tempfile, "tempdir", str(tmp_path))
    made(*FILES[0])
    faults(b"{\n")
    assert list(tmp_path.iterdir()) == []


def test_a_service_without_pyarrow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnknownFormatError, match="cannot read Parquet"):
        next(read_parquet(io.BytesIO(as_parquet(ROWS)), MOST, []))


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
