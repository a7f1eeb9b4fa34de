"""Normalisation of uploaded files: equal rows give equal bytes, every column is profiled, and every fault is reported.

A normalised split is gzipped JSONL in a temporary file: one object per row, names sorted, every row with the columns of the first.
Called by ``api.routes.datasets``.
"""

import gzip
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, BinaryIO

from api.errors.problems import Fault
from api.uploads.csv import read_csv
from api.uploads.formats import ByteBudget, FileFormat, Row, UnreadableFileError
from api.uploads.jsonl import read_jsonl
from api.uploads.parquet import read_parquet
from pruning.data.profile import Column, ColumnProfiler

MAX_FAULTS = 20
"""After this many faults the rest of the files is not read."""
_MAX_COLUMNS, _MAX_NAME = 200, 100
_GZIP_LEVEL = 3
"""20 MB of text take 0.9 s and become 5.6 MB; at level 9 it is 7.2 s and 4.7 MB."""
_BUFFER_BYTES = 64 * 1024
_READERS = {FileFormat.JSONL: read_jsonl, FileFormat.CSV: read_csv, FileFormat.PARQUET: read_parquet}


@dataclass(frozen=True)
class SplitFile:
    """An uploaded file with the rows of one split."""

    format: FileFormat
    file: BinaryIO


@dataclass(frozen=True)
class NormalizedDataset:
    """All splits of a data set."""

    sha256: str
    """Of split names and rows; the same for every format they were sent in."""
    splits: dict[str, Any]
    """As ``service.db.models.Dataset.splits`` stores them."""
    files: dict[str, IO[bytes]]


class InvalidRowsError(Exception):
    """The rows cannot be used."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults[0].detail)
        self.faults = faults


@contextmanager
def normalize_splits(uploads: Mapping[str, SplitFile], max_bytes: int) -> Iterator[NormalizedDataset]:
    """The data set whose splits are ``uploads``; its files are removed after the block.

    Raises InvalidRowsError with all that is wrong, up to MOST_FAULTS; UnknownFormatError; TooLargeError beyond
    ``max_bytes`` in all; OSError.
    """
    budget, faults, digest = ByteBudget(max_bytes), list[Fault](), hashlib.sha256()
    splits: dict[str, Any] = {}
    files: dict[str, IO[bytes]] = {}
    with ExitStack() as stack:
        for name, upload in sorted(uploads.items()):
            files[name] = stack.enter_context(tempfile.TemporaryFile())
            writer = _SplitWriter(name, files[name], budget, faults)
            writer.write_rows(_READERS[upload.format](upload.file, max_bytes))
            digest.update(f"{name}\n{writer.digest.hexdigest()}\n".encode())
            splits[name] = writer.summary()
            if len(faults) >= MAX_FAULTS:
                break
        if faults:
            raise InvalidRowsError(faults)
        yield NormalizedDataset(digest.hexdigest(), splits, files)


def columns_of(split: Mapping[str, Any]) -> list[Column]:
    """The columns of a split that ``service.db.models.Dataset.splits`` stores."""
    return [Column.model_validate(column) for column in split["columns"]]


class _SplitWriter:
    """Writes one split and collects its faults."""

    def __init__(self, split: str, file: IO[bytes], budget: ByteBudget, faults: list[Fault]) -> None:
        self.digest = hashlib.sha256()
        self._split, self._file, self._budget, self._faults = split, file, budget, faults
        self._columns = ColumnProfiler()

    def write_rows(self, rows: Iterator[Row | str]) -> None:
        """Write all rows, or stop at the maximum number of faults."""
        number = 0
        packed = gzip.GzipFile(filename="", fileobj=self._file, mode="wb", mtime=0, compresslevel=_GZIP_LEVEL)
        with packed, io.BufferedWriter(packed, _BUFFER_BYTES) as out:
            try:
                for number, row in enumerate(rows, 1):
                    line = self._line(row)
                    if isinstance(line, bytes):
                        self._budget.spend(len(line))
                        self.digest.update(line)
                        out.write(line)
                    elif not self._add_fault("rows_invalid", f"row {number} {line}", number):
                        return
            except UnreadableFileError as fault:
                self._add_fault("file_unreadable", f"after row {number}: {fault}")
                return
        if number == 0:
            self._add_fault("rows_missing", "the file has no rows")

    def summary(self) -> dict[str, Any]:
        """What is stored of the split in addition to its rows."""
        size = self._file.tell()
        self._file.seek(0)
        stored = hashlib.file_digest(self._file, "sha256").hexdigest()  # type: ignore[arg-type]  # a real file has readinto
        self._file.seek(0)
        columns = [column.model_dump() for column in self._columns.summary()]
        return {"rows": self._columns.rows, "bytes": size, "sha256": stored, "columns": columns}

    def _line(self, row: Row | str) -> bytes | str:
        """A row as it is stored; a text says what is wrong with it."""
        if isinstance(row, str):
            return row
        wrong = self._column_mismatch(row) if self._columns.rows else _invalid_names(row)
        if wrong is not None:
            return wrong
        try:
            text = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
            line = text.encode() + b"\n"
        except UnicodeEncodeError:
            return "holds half a surrogate pair, which is no text"
        except TypeError as fault:
            return f"holds a value that is neither text, number nor truth value: {fault}"
        except (ValueError, RecursionError):
            return "holds a number that is not finite, or is nested too deeply"
        if "\\u0000" in text:
            return "holds a NUL character"
        self._columns.add(row)
        return line

    def _column_mismatch(self, row: Row) -> str | None:
        if row.keys() == self._columns.names:
            return None
        for name in self._columns.names:
            if name not in row:
                return f"has no column {name!r}, which the first row has"
        extra = next(name for name in row if name not in self._columns.names)
        return f"has a column {extra[:_MAX_NAME]!r}, which the first row has not"

    def _add_fault(self, code: str, detail: str, row: int | None = None) -> bool:
        """Record a fault; whether more may be recorded."""
        detail = f"{self._split}: {detail[:500]}"
        self._faults.append(Fault(code=code, detail=detail, parameter=self._split, row=row))
        return len(self._faults) < MAX_FAULTS


def _invalid_names(row: Row) -> str | None:
    if not 1 <= len(row) <= _MAX_COLUMNS:
        return f"has {len(row)} columns; 1 to {_MAX_COLUMNS} can be stored"
    bad = next((name for name in row if not (1 <= len(name) <= _MAX_NAME and name.isprintable())), None)
    return (
        f"has a column {bad[:_MAX_NAME]!r}; names have 1 to {_MAX_NAME} printable characters"
        if bad is not None
        else None
    )
