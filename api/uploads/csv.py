"""CSV reader: the first line names the columns, and a column whose cells are all numbers becomes numbers."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from api.uploads.formats import Row, UnreadableFileError
from api.uploads.jsonl import decoded_lines

CellType = type[int] | type[float] | type[str]
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)  # 007 is text, not a number


def read_csv(file: BinaryIO, max_bytes: int) -> Iterator[Row | str]:
    """The rows of a file, read twice: the type of a column is known after its last cell. An empty cell among numbers is null.

    Raises UnreadableFileError, TooLargeError.
    """
    lines = _read_cells(file, max_bytes)
    names = next(lines, None)
    if names is None or isinstance(names, str) or len(set(names)) < len(names):
        raise UnreadableFileError("the first line must name every column, each differently")
    types = _column_types(lines, len(names))
    lines = _read_cells(file, max_bytes)
    next(lines)
    for cells in lines:
        if isinstance(cells, str):
            yield cells
        elif len(cells) != len(names):
            yield f"has {len(cells)} cells, the first line names {len(names)} columns"
        else:
            yield {name: _convert(cell, cell_type) for name, cell, cell_type in zip(names, cells, types, strict=True)}


def _column_types(lines: Iterator[list[str] | str], columns: int) -> Sequence[CellType]:
    """The narrowest type that all cells of each column have; a column of empty cells is text."""
    types: list[CellType | None] = [None] * columns
    for cells in lines:
        if isinstance(cells, str):
            continue
        for i, cell in enumerate(cells[:columns]):
            if not cell or types[i] is str:
                continue
            if not _INTEGER.fullmatch(cell):
                types[i] = float if _NUMBER.fullmatch(cell) else str
            elif types[i] is None:
                types[i] = int
    return [cell_type or str for cell_type in types]


def _convert(cell: str, cell_type: CellType) -> int | float | str | None:
    return cell if cell_type is str else cell_type(cell) if cell else None


def _read_cells(file: BinaryIO, max_bytes: int) -> Iterator[list[str] | str]:
    rows = csv.reader(decoded_lines(file, max_bytes), strict=True)
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as fault:  # the reader goes on with the next line
            yield f"is not CSV: {fault}"
            continue
        if cells:
            yield cells
