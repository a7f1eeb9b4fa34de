"""Data sets as JSON Lines files in a folder: finding splits and reading their rows.

A data set is a folder of ``<split>.jsonl`` or ``<split>.jsonl.gz``, one JSON object per line. The API finds and reads the files
by these functions before a job is accepted (:mod:`pruning.data.local_check`), the trainer by the same when it runs.
"""

import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pruning.data.bad_rows import BadRows
from pruning.data.files.formats import DataFileError, RowFault
from pruning.data.files.jsonl import read_jsonl
from pruning.errors import PermanentError, SplitMissingError
from pruning.hub.local import find_folder
from pruning.sources import Sources
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import Task

GivenRow = tuple[int, str, dict[str, Any] | PermanentError]
"""Number of a row in its file, the file's description, and the row or its fault."""
_NO_LIMIT = sys.maxsize
"""Limit of the decompressed bytes of a local file: none, because the operator provides these files."""


def dataset_folder_name(given: str | CustomTask) -> str:
    """Name of the task's folder under the data sets directory."""
    return given if isinstance(given, str) else given.dataset


def find_dataset(sources: Sources, name: str) -> Path | None:
    """Folder of the data set ``name``: among the uploaded ones, else in the data sets directory; None if it is in neither."""
    return find_folder(sources.uploads_dir, name) or find_folder(sources.datasets_dir, name)


def find_split(folder: Path, split: str, *, param: str = "task") -> Path:
    """The file of a split. Raises SplitMissingError that lists the splits there are."""
    plain = Path(split).name == split
    for name in (f"{split}.jsonl", f"{split}.jsonl.gz") if plain else ():
        if (folder / name).is_file():
            return folder / name
    there = sorted({file.name.removesuffix(".gz").removesuffix(".jsonl") for file in folder.glob("*.jsonl*")})
    raise SplitMissingError(
        f"data set {folder.name!r} has no {split}.jsonl or {split}.jsonl.gz; its splits are: {', '.join(there) or 'none'}",
        splits=there,
        param=param,
    )


def read_first_row(file: Path) -> dict[str, Any]:
    """The first row of a split. Raises PermanentError (``rows_invalid``) when there is none."""
    for _, row in iter_rows(file):
        return row
    raise _invalid(file, "it is empty")


def iter_rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a split with their numbers, read as uploads are. Raises PermanentError (``rows_invalid``)."""
    for number, _, row in iter_given_rows(file):
        if isinstance(row, PermanentError):
            raise row
        yield number, row


def iter_given_rows(file: Path) -> Iterator[GivenRow]:
    """The rows of a split, with an error in place of one that is not an object. Raises PermanentError for a damaged file."""
    where, number = f"{file.name} of data set {file.parent.name!r}", 0
    try:
        with file.open("rb") as opened:
            for number, row in enumerate(read_jsonl(opened, _NO_LIMIT, []), 1):
                if isinstance(row, RowFault):
                    yield number, where, _invalid(file, f"row {number} {row.detail}")
                else:
                    yield number, where, row
    except (OSError, DataFileError) as fault:
        raise _invalid(file, f"row {number + 1} cannot be read: {fault}") from fault


def read_columns(
    file: Path, names: Sequence[str], limit: int | None = None, bad: BadRows | None = None
) -> tuple[dict[str, list[Any]], list[int]]:
    """The values of some columns, of the first ``limit`` rows, and the numbers of these rows, without the ``bad`` ones.

    Raises PermanentError (``rows_invalid``, ``column_missing``) where these are not skipped."""
    return collect_columns(iter_given_rows(file), names, limit, bad or BadRows(file.name))


def collect_columns(
    rows: Iterable[GivenRow], names: Sequence[str], limit: int | None, bad: BadRows
) -> tuple[dict[str, list[Any]], list[int]]:
    """:func:`read_columns` of rows from any source; the numbers count from 1 over all of its files."""
    columns: dict[str, list[Any]] = {name: [] for name in names}
    numbers: list[int] = []
    for position, (number, where, row) in enumerate(islice(rows, limit), 1):
        bad.read = position
        if isinstance(row, PermanentError):
            bad.reject(position, "unreadable", row)
            continue
        missing = next((name for name in names if name not in row), None)
        if missing is not None:
            fault = PermanentError(
                f"row {number} of {where} has no column {missing!r}; its columns are: {', '.join(row)[:500] or 'none'}",
                code="column_missing",
                param="task",
            )
            bad.reject(position, "column_missing", fault)
            continue
        numbers.append(position)
        for name, column in columns.items():
            column.append(row[name])
    return columns, numbers


def _invalid(file: Path, fault: str) -> PermanentError:
    return PermanentError(
        f"{file.name} of data set {file.parent.name!r} must have one JSON object per line; {fault}",
        code="rows_invalid",
        param="task",
    )


def missing_column(task: Task, columns: Container[str]) -> tuple[str, str] | None:
    """The first column of the task that is not among ``columns``, with the field of a custom task that names it."""
    wanted = {column: f"task.text.{index}" for index, column in enumerate(task.text)}
    if task.label_columns:
        wanted |= {column: f"task.label_columns.{index}" for index, column in enumerate(task.label_columns)}
    else:
        wanted[task.label] = "task.label"
    return next(((column, param) for column, param in wanted.items() if column not in columns), None)
