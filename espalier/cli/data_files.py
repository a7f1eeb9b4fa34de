"""Data files on the command line, read by the service's own readers, so that what is accepted is what an upload accepts.

Called by ``rows_file.py`` and ``prediction_file.py``.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO

import typer

_MAX_BYTES = 1024**3
"""Limit of the unpacked bytes; that of the service is lower by default, and its error names it."""
Row = dict[str, Any]


def read_rows(file: BinaryIO, name: str, notes: list[str]) -> Iterator[Row]:
    """The rows of an open file of the format that the ending of ``name`` says, at least one; to ``notes`` is added what was decided
    on reading it. Raises typer.BadParameter naming the row."""
    from pruning.data.files.csv import read_csv
    from pruning.data.files.formats import DataFileError, FileFormat, RowFault, detect_format
    from pruning.data.files.jsonl import read_jsonl
    from pruning.data.files.parquet import read_parquet

    readers = {FileFormat.CSV: read_csv, FileFormat.JSONL: read_jsonl, FileFormat.PARQUET: read_parquet}
    number = 0
    try:
        for number, row in enumerate(readers[detect_format(name)](file, _MAX_BYTES, notes), 1):
            if isinstance(row, RowFault):
                raise typer.BadParameter(f"row {number} of {name} {row.detail}")
            yield row
    except DataFileError as error:
        raise typer.BadParameter(f"{name}: {error}") from error
    if not number:
        raise typer.BadParameter(f"{name} has no rows")
