"""CSV reader: the first line names the columns, and a column whose cells are all numbers, or all truth values, becomes those."""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

from pruning.data.files.dialect import SAMPLE_LINES, Dialect, detect_dialect
from pruning.data.files.formats import MAX_ROW_BYTES, Row, RowFault, UnreadableFileError
from pruning.data.files.jsonl import decoded_lines

CellType = type[int] | type[float] | type[str] | type[bool]
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
"""Number in JSON's syntax; ``007`` is text."""
_TRUTH = {"true": True, "false": False, "True": True, "False": False, "TRUE": True, "FALSE": False}


def read_csv(file: BinaryIO, max_bytes: int, notes: list[str]) -> Iterator[Row | RowFault]:
    """The rows of a file, read twice: the type of a column is known after its last cell. An empty cell among numbers is null.

    Raises UnreadableFileError, TooLargeError.
    """
    csv.field_size_limit(MAX_ROW_BYTES)  # a setting of the whole process; the same limit as for JSONL rows
    dialect = detect_dialect(list(islice(decoded_lines(file, max_bytes), SAMPLE_LINES)))
    lines = _read_cells(file, max_bytes, dialect)
    header = next(lines, None)
    if header is None or isinstance(header, RowFault):
        raise UnreadableFileError("the first line must name every column, each differently")
    names = [name.strip() for name in header]
    types = _column_types(lines, len(names))
    kept = _named_columns(names, types, notes)
    notes.extend(dialect.notes())
    lines = _read_cells(file, max_bytes, dialect)
    next(lines)
    extra = False
    for cells in lines:
        if isinstance(cells, RowFault):
            yield cells
            continue
        if len(cells) == len(names) + 1 and not cells[-1].strip():
            extra = True
        elif len(cells) != len(names):
            kind = "more" if len(cells) > len(names) else "fewer"
            yield RowFault(kind, f"has {len(cells)} cells, the first line names {len(names)} columns")
            continue
        yield {names[i]: _convert(cells[i], types[i]) for i in kept}
    if extra:
        notes.append("an empty cell at the end of lines is left out")


def _named_columns(names: Sequence[str], types: Sequence[CellType | None], notes: list[str]) -> list[int]:
    """The columns to keep: all that have a name. Raises UnreadableFileError for one without that cannot be left out."""
    kept = []
    for i, name in enumerate(names):
        if name:
            kept.append(i)
        elif types[i] is None:
            notes.append(f"column {i + 1} is left out: it has neither a name nor any value")
        elif i == 0 and types[i] is int:
            notes.append("column 1 is left out: it has no name and counts the rows")
        else:
            raise UnreadableFileError(f"the first line must name every column; column {i + 1} has values and no name")
    found = [names[i] for i in kept]
    twice = next((name for name in found if found.count(name) > 1), None)
    if twice is not None:
        raise UnreadableFileError(f"the first line must name every column, each differently; {twice[:100]!r} is there twice")
    if not kept:
        raise UnreadableFileError("the first line must name every column, each differently")
    return kept


def _column_types(lines: Iterator[list[str] | RowFault], columns: int) -> Sequence[CellType | None]:
    """The narrowest type that all cells of each column have; None for a column of empty cells."""
    types: list[CellType | None] = [None] * columns
    for cells in lines:
        if isinstance(cells, RowFault):
            continue
        for i, cell in enumerate(cells[:columns]):
            if types[i] is not str and (stripped := cell.strip()):
                types[i] = _wider(types[i], stripped)
    return types


def _wider(known: CellType | None, cell: str) -> CellType:
    if cell in _TRUTH:
        return bool if known in (None, bool) else str
    if known is bool or not NUMBER.fullmatch(cell):
        return str
    return int if known in (None, int) and _INTEGER.fullmatch(cell) else float


def _convert(cell: str, cell_type: CellType | None) -> Any:
    if cell_type is None or cell_type is str:
        return cell
    stripped = cell.strip()
    if not stripped:
        return None
    return _TRUTH[stripped] if cell_type is bool else cell_type(stripped)


def _read_cells(file: BinaryIO, max_bytes: int, dialect: Dialect) -> Iterator[list[str] | RowFault]:
    lines = islice(decoded_lines(file, max_bytes), dialect.skip_lines, None)
    rows = csv.reader(lines, delimiter=dialect.separator, skipinitialspace=dialect.blanks, strict=True)
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as fault:  # the reader goes on with the next line
            yield RowFault("csv", f"is not CSV: {fault}")
            continue
        if cells:
            yield cells
