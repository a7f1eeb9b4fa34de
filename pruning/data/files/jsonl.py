"""JSONL reader, and the lines of text files, compressed or not, that the CSV reader takes its cells from."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from pruning.data.files.formats import MAX_NAME, MAX_ROW_BYTES, ByteBudget, Row, RowFault, UnreadableFileError

_BOM = b"\xef\xbb\xbf"
_HALF = "holds half a surrogate pair, which is not valid text"


def read_jsonl(file: BinaryIO, max_bytes: int, _notes: list[str]) -> Iterator[Row | RowFault]:
    """The rows of a file; blank lines are skipped, and so is a byte order mark. Raises UnreadableFileError, TooLargeError."""
    for number, line in enumerate(_lines(file, max_bytes), 1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as fault:
            yield RowFault("json", f"is not JSON: {fault}")
            continue
        suspect = b"\\ud" in text.lower() or b"\xed" in text  # escapes of surrogates, or their bytes
        yield (suspect and _half_character(row)) or _row(row)


def read_json(file: BinaryIO, max_bytes: int, notes: list[str]) -> Iterator[Row | RowFault]:
    """The rows of JSONL, or of one JSON array of objects. Raises UnreadableFileError, TooLargeError."""
    first = next((line for line in _lines(file, max_bytes) if line.removeprefix(_BOM).strip()), b"")
    if not first.removeprefix(_BOM).lstrip().startswith(b"["):
        yield from read_jsonl(file, max_bytes, notes)
        return
    try:
        rows = json.loads(b"".join(_lines(file, max_bytes)).removeprefix(_BOM))
    except (ValueError, RecursionError) as fault:
        raise UnreadableFileError(f"it is not JSON: {fault}") from fault
    for row in rows:
        yield _half_character(row) or _row(row)


def _row(value: Any) -> Row | RowFault:
    return value if isinstance(value, dict) else RowFault("object", "is not a JSON object")


def _half_character(row: Any) -> RowFault | None:
    """Fault of a row that holds half a surrogate pair: JSON can express it, but tokenizers, UTF-8 files and responses cannot."""
    for name, value in row.items() if isinstance(row, dict) else ():
        for part, fault in (
            (name, RowFault("name", "has a column whose name is not valid text")),
            (value, RowFault(_HALF, f"{_HALF}, in column {name[:MAX_NAME]!r}", name[:MAX_NAME])),
        ):
            try:
                json.dumps(part, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                return fault
            except RecursionError:  # readable, but nested too deeply to be written: the writer reports it
                continue
    return None


def decoded_lines(file: BinaryIO, max_bytes: int) -> Iterator[str]:
    """The lines of ``file`` as text, with their line ends, from its start. Raises UnreadableFileError, TooLargeError."""
    for number, line in enumerate(_lines(file, max_bytes), 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as fault:
            raise UnreadableFileError(f"line {number} is not UTF-8: {fault}") from fault


def _lines(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """The lines as bytes, decompressed where the content is gzip, independent of the file's name."""
    budget = ByteBudget(max_bytes)
    file.seek(0)
    compressed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    source: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=file, mode="rb") if compressed else file
    try:
        while line := source.readline(MAX_ROW_BYTES + 1):
            budget.spend(len(line))
            if len(line) > MAX_ROW_BYTES:
                raise UnreadableFileError(f"a line is longer than {MAX_ROW_BYTES} bytes")
            yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as fault:
        raise UnreadableFileError(f"it cannot be unpacked: {fault}") from fault
