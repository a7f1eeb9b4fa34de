"""Formats of data files: detection by name or media type, the errors of readers, and the limit of decompressed bytes.

Called by the readers of this package and by their callers. A reader yields rows one after the other and never holds a
whole file in memory; in place of a row that cannot be read it yields a :class:`RowFault`, and reading goes on. What a reader
decides about a file (its separator, a column that is left out) it appends to ``notes``, as sentences.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, BinaryIO, NamedTuple

Row = dict[str, Any]
MAX_ROW_BYTES = 16 * 1024 * 1024
"""Limit of one row, so that a file without line breaks is not read to its end."""
MAX_COLUMNS, MAX_NAME = 200, 100


class RowFault(NamedTuple):
    """Why a row cannot be used. Rows with the same ``kind`` and ``column`` are reported as one fault."""

    kind: str
    detail: str
    """Goes on after ``row 3 ``: ``is not JSON: …``."""
    column: str | None = None


class FileFormat(StrEnum):
    """The formats that can be read."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


Reader = Callable[[BinaryIO, int, list[str]], Iterator[Row | RowFault]]
"""Reader of a file; the arguments are the file, the limit of its decompressed bytes, and the notes."""


class DataFileError(Exception):
    """A file that cannot be used."""


class UnknownFormatError(DataFileError):
    """The format of the file is clear neither from its name nor from its media type; send .jsonl, .jsonl.gz, .csv, .csv.gz or
    .parquet."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or UnknownFormatError.__doc__)


class UnreadableFileError(DataFileError):
    """The file is damaged from some byte on, or its header is."""


class TooLargeError(DataFileError):
    """The data set is larger than allowed when it is decompressed."""


class ByteBudget:
    """Bytes that may still be read."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._left = total

    def spend(self, count: int) -> None:
        """Use ``count`` bytes. Raises TooLargeError when there are not as many left."""
        self._left -= count
        if self._left < 0:
            raise TooLargeError(f"the data set has more than {self.total} bytes when it is unpacked")


_TYPES = {
    "application/jsonl": FileFormat.JSONL,
    "application/x-ndjson": FileFormat.JSONL,
    "application/x-jsonlines": FileFormat.JSONL,
    "text/csv": FileFormat.CSV,
    "text/tab-separated-values": FileFormat.CSV,
    "application/vnd.apache.parquet": FileFormat.PARQUET,
}
_ENDINGS = {
    "jsonl": FileFormat.JSONL,
    "ndjson": FileFormat.JSONL,
    "csv": FileFormat.CSV,
    "tsv": FileFormat.CSV,
    "parquet": FileFormat.PARQUET,
}


def detect_format(name: str, media_type: str | None = None) -> FileFormat:
    """The format of a file by the ending of its name, else by its media type. Raises UnknownFormatError."""
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    kind = (media_type or "").partition(";")[0].strip().lower()
    found = _ENDINGS.get(ending) or _TYPES.get(kind)
    if found is None:
        raise UnknownFormatError
    return found
