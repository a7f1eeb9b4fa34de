"""Parquet: columns of any Arrow type, within the memory and the time of the process that reads them."""

import datetime
import io
import resource
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from pruning.data.files.formats import FileFormat, TooLargeError, UnknownFormatError
from pruning.data.files.parquet import read_parquet
from tests.api.uploads.split_files import MOST, ROWS, as_parquet, faults, made


def test_columns_of_any_arrow_type_are_stored_or_left_out_and_named() -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5)
    table = pyarrow.table(
        {
            "text": ["a", None],
            "score": [1.5, float("nan")],
            "at": [when, None],
            "day": [when.date()] * 2,
            "price": pyarrow.array([Decimal("1.50"), None], pyarrow.decimal128(3, 2)),
            "long": pyarrow.array([Decimal("123456789012345678.50"), None], pyarrow.decimal128(30, 2)),
            "kind": pyarrow.array(["u", "v"]).dictionary_encode(),
            "blob": [b"x", b"y"],
            "list": [[1.0, float("nan")], None],
            "blobs": [[b"x"], []],
        }
    )
    out = io.BytesIO()
    parquet.write_table(table, out)
    _, rows, split = made(FileFormat.PARQUET, out.getvalue())
    assert rows[1] == {
        "text": None,
        "score": None,
        "at": None,
        "day": "2026-01-02",
        "price": None,
        "long": None,
        "kind": "v",
        "list": None,
    }
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
        [sys.executable, "-c", "from tests.api.uploads.test_parquet import refuse_wide_columns as test; print(test())"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
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
    with pytest.raises(TooLargeError, match=str(64 * 1024 * 1024)):
        made(FileFormat.PARQUET, out.getvalue(), 64 * 1024 * 1024)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def test_a_service_without_pyarrow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UnknownFormatError, match="pyarrow"):
        next(read_parquet(io.BytesIO(as_parquet(ROWS)), MOST, []))
