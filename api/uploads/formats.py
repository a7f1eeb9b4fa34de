"""Which kinds of files can be sent, why one cannot be taken, and how much of one is read.

Called by ``api.routes.datasets`` and by the readers beside it. A reader yields rows, one after the other and never a whole
file in memory; a row that cannot be read comes as the words that say why, and reading goes on.
"""

from enum import StrEnum
from typing import Any

Row = dict[str, Any]


class FileFormat(StrEnum):
    """The kinds of files that are understood."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class UploadError(Exception):
    """A file that cannot be taken."""


class UnknownFormatError(UploadError):
    """Neither name nor type of the file says what it is; send .jsonl, .jsonl.gz, .csv, .csv.gz or .parquet."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or UnknownFormatError.__doc__)


class UnreadableFileError(UploadError):
    """The file is damaged from some place on."""


class TooLargeError(UploadError):
    """Unpacked, the data set is larger than allowed."""


class ByteBudget:
    """Bytes that may still be read. Raises TooLargeError when they are used up."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._left = most

    def spend(self, count: int) -> None:
        """Use some up."""
        self._left -= count
        if self._left < 0:
            raise TooLargeError(f"the data set has more than {self.most} bytes when it is unpacked")


_TYPES = {
    "application/jsonl": FileFormat.JSONL,
    "application/x-ndjson": FileFormat.JSONL,
    "application/x-jsonlines": FileFormat.JSONL,
    "text/csv": FileFormat.CSV,
    "application/vnd.apache.parquet": FileFormat.PARQUET,
}
_ENDINGS = {"jsonl": FileFormat.JSONL, "ndjson": FileFormat.JSONL, "csv": FileFormat.CSV, "parquet": FileFormat.PARQUET}


def detect_format(name: str, media_type: str | None) -> FileFormat:
    """What a file is, by the ending of its name, else by its media type. Raises UnknownFormatError."""
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    kind = (media_type or "").partition(";")[0].strip().lower()
    found = _ENDINGS.get(ending) or _TYPES.get(kind)
    if found is None:
        raise UnknownFormatError
    return found
