"""Formats of uploaded files: detection by name or media type, the errors of readers, and the limit of decompressed bytes.

Called by ``api.routes.datasets`` and by the readers of this package. A reader yields rows one after the other and never holds a
whole file in memory; in place of a row that cannot be read it yields the reason as text, and reading goes on.
"""

from enum import StrEnum
from typing import Any

Row = dict[str, Any]


class FileFormat(StrEnum):
    """The formats that can be read."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class UploadError(Exception):
    """A file that cannot be used."""


class UnknownFormatError(UploadError):
    """Neither name nor type of the file says what it is; send .jsonl, .jsonl.gz, .csv, .csv.gz or .parquet."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or UnknownFormatError.__doc__)


class UnreadableFileError(UploadError):
    """The file is damaged from some byte on."""


class TooLargeError(UploadError):
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
    "application/vnd.apache.parquet": FileFormat.PARQUET,
}
_ENDINGS = {"jsonl": FileFormat.JSONL, "ndjson": FileFormat.JSONL, "csv": FileFormat.CSV, "parquet": FileFormat.PARQUET}


def detect_format(name: str, media_type: str | None) -> FileFormat:
    """The format of a file by the ending of its name, else by its media type. Raises UnknownFormatError."""
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    kind = (media_type or "").partition(";")[0].strip().lower()
    found = _ENDINGS.get(ending) or _TYPES.get(kind)
    if found is None:
        raise UnknownFormatError
    return found
