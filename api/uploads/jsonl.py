"""Files of lines, packed or not: JSONL as rows, and the lines that ``csv_rows.py`` makes cells of."""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from api.uploads.formats import ByteBudget, Row, UnreadableFileError
from pruning.data.jsonl import MAX_ROW_BYTES


def read_jsonl(file: BinaryIO, most_bytes: int) -> Iterator[Row | str]:
    """Blank lines are no rows. Raises UnreadableFileError, TooLargeError."""
    for line in _lines(file, most_bytes):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as fault:
            yield f"is not JSON: {fault}"
            continue
        yield row if isinstance(row, dict) else "is not a JSON object"


def decoded_lines(file: BinaryIO, most_bytes: int) -> Iterator[str]:
    """The lines of ``file`` with their ends, from its start. Raises UnreadableFileError, TooLargeError."""
    for number, line in enumerate(_lines(file, most_bytes), 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as fault:
            raise UnreadableFileError(f"line {number} is not UTF-8: {fault}") from fault


def _lines(file: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    """Unpacked where it is gzip, whatever its name says."""
    budget = ByteBudget(most_bytes)
    file.seek(0)
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    source: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=file, mode="rb") if packed else file
    try:
        while line := source.readline(MAX_ROW_BYTES + 1):
            budget.spend(len(line))
            if len(line) > MAX_ROW_BYTES:
                raise UnreadableFileError(f"a line is longer than {MAX_ROW_BYTES} bytes")
            yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as fault:
        raise UnreadableFileError(f"it cannot be unpacked: {fault}") from fault
