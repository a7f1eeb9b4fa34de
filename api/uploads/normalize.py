"""Normalisation of data files: equal rows give equal bytes, every column is profiled, and every kind of fault is reported once.

A normalised split is gzipped JSONL: one object per row, names sorted, every row with the columns of the first. Called by
:mod:`api.uploads.child`, the process that parses uploads; standard library and the readers only, so that it starts quickly.
"""

import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any, BinaryIO

from pruning.data.column_profiler import ColumnProfiler
from pruning.data.files.csv import read_csv
from pruning.data.files.formats import MAX_COLUMNS, MAX_NAME, ByteBudget, FileFormat, Reader, Row, RowFault, UnreadableFileError
from pruning.data.files.jsonl import read_jsonl
from pruning.data.files.parquet import read_parquet

MAX_FAULTS = 20
"""After this many kinds of faults the rest of the files is not read."""
_LISTED_ROWS = 5
_GZIP_LEVEL = 3
"""20 MB of text take 0.9 s and become 5.6 MB; at level 9 it is 7.2 s and 4.7 MB."""
_BUFFER_BYTES = 64 * 1024
_READERS: dict[FileFormat, Reader] = {FileFormat.JSONL: read_jsonl, FileFormat.CSV: read_csv, FileFormat.PARQUET: read_parquet}


@dataclass(frozen=True)
class SplitFile:
    """An uploaded file with the rows of one split."""

    format: FileFormat
    file: BinaryIO


@dataclass
class SplitFault:
    """One kind of fault of a split, and the first rows that have it."""

    split: str
    code: str
    detail: str
    rows: list[int] = field(default_factory=list)
    count: int = 0

    def message(self) -> str:
        """The fault in words, with its split and rows."""
        if not self.rows:
            return f"{self.split}: {self.detail}"
        more = ""
        if self.count > 1:
            dots = ", ..." if self.count > len(self.rows) else ""
            more = f" ({self.count} rows in all: {', '.join(map(str, self.rows))}{dots})"
        return f"{self.split}: row {self.rows[0]} {self.detail}{more}"


def normalize_files(uploads: Mapping[str, SplitFile], outputs: Mapping[str, IO[bytes]], max_bytes: int) -> dict[str, Any]:
    """Write each split to its file in ``outputs``; returns ``faults``, or ``sha256`` and ``splits``, as JSON.

    Raises UnknownFormatError; TooLargeError beyond ``max_bytes`` in all; OSError.
    """
    budget, faults, digest = ByteBudget(max_bytes), _Faults(), hashlib.sha256()
    splits: dict[str, Any] = {}
    for name, upload in sorted(uploads.items()):
        writer = _SplitWriter(name, outputs[name], budget, faults)
        notes: list[str] = []
        writer.write_rows(_READERS[upload.format](upload.file, max_bytes, notes))
        digest.update(f"{name}\n{writer.digest.hexdigest()}\n".encode())
        splits[name] = writer.summary() | {"notes": notes}
        if faults.full:
            break
    if faults.found:
        return {"faults": [asdict(fault) for fault in faults.found.values()]}
    return {"sha256": digest.hexdigest(), "splits": splits}


class _Faults:
    """The faults so far, each kind once."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, str | None], SplitFault] = {}

    @property
    def full(self) -> bool:
        return len(self.found) >= MAX_FAULTS

    def add(self, split: str, fault: RowFault, *, code: str, row: int | None = None) -> None:
        known = self.found.setdefault((split, fault.kind, fault.column), SplitFault(split, code, fault.detail[:500]))
        known.count += 1
        if row is not None and len(known.rows) < _LISTED_ROWS:
            known.rows.append(row)


class _SplitWriter:
    """Writes one split and collects its faults."""

    def __init__(self, split: str, file: IO[bytes], budget: ByteBudget, faults: _Faults) -> None:
        self.digest = hashlib.sha256()
        self._split, self._file, self._budget, self._faults = split, file, budget, faults
        self._columns = ColumnProfiler()

    def write_rows(self, rows: Iterator[Row | RowFault]) -> None:
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
                        continue
                    self._faults.add(self._split, line, code="rows_invalid", row=number)
                    if self._faults.full:
                        return
            except UnreadableFileError as fault:
                after = f"after row {number}: " if number else ""
                self._faults.add(self._split, RowFault("unreadable", f"{after}{fault}"), code="file_unreadable")
                return
        if number == 0:
            self._faults.add(self._split, RowFault("missing", "the file has no rows"), code="rows_missing")

    def summary(self) -> dict[str, Any]:
        """What is stored of the split in addition to its rows."""
        size = self._file.tell()
        self._file.seek(0)
        stored = hashlib.file_digest(self._file, "sha256").hexdigest()  # type: ignore[arg-type]  # a real file has readinto
        self._file.seek(0)
        return {"rows": self._columns.rows, "bytes": size, "sha256": stored, "columns": self._columns.summary()}

    def _line(self, row: Row | RowFault) -> bytes | RowFault:
        """A row as it is stored, or what is wrong with it."""
        if isinstance(row, RowFault):
            return row
        wrong = self._column_mismatch(row) if self._columns.rows else _invalid_names(row)
        if wrong is not None:
            return wrong
        try:
            text = _json(row)
            line = text.encode() + b"\n"
        except (TypeError, ValueError, RecursionError):  # half a character is a ValueError as well
            return _invalid_value(row)
        if "\\u0000" in text:
            return _invalid_value(row)
        self._columns.add(row)
        return line

    def _column_mismatch(self, row: Row) -> RowFault | None:
        if row.keys() == self._columns.names:
            return None
        for name in self._columns.names:
            if name not in row:
                return RowFault("missing column", f"has no column {name!r}, which the first row has", name)
        extra = next(name for name in row if name not in self._columns.names)[:MAX_NAME]
        return RowFault("further column", f"has a column {extra!r}, which the first row has not", extra)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _invalid_value(row: Row) -> RowFault:
    """What is wrong with a row that cannot be stored, and in which column."""
    for name, value in row.items():
        kind = ""
        try:
            text = _json(value)
            text.encode()
            if "\\u0000" in text:
                kind = "holds a NUL character"
        except UnicodeEncodeError:
            kind = "holds half a surrogate pair, which is not valid text"
        except TypeError:
            kind = "holds a value that is neither text, number nor truth value"
        except (ValueError, RecursionError):
            kind = "holds a number that is not finite, or is nested too deeply"
        if kind:
            return RowFault(kind, f"{kind}, in column {name[:MAX_NAME]!r}", name[:MAX_NAME])
    return RowFault("name", "has a column whose name is not valid text")


def _invalid_names(row: Row) -> RowFault | None:
    if not 1 <= len(row) <= MAX_COLUMNS:
        return RowFault("columns", f"has {len(row)} columns; 1 to {MAX_COLUMNS} can be stored")
    bad = next((name for name in row if not (1 <= len(name) <= MAX_NAME and name.isprintable())), None)
    if bad is None:
        return None
    return RowFault("name", f"has a column {bad[:MAX_NAME]!r}; names have 1 to {MAX_NAME} printable characters")
