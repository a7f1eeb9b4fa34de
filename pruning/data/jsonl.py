"""Data sets as JSON Lines files in a folder: finding splits and reading their rows.

A data set is a folder of ``<split>.jsonl`` or ``<split>.jsonl.gz``, one JSON object per line. The API finds and reads the files
by these functions before a job is accepted (:mod:`pruning.data.local_check`), the trainer by the same when it runs.
"""

import sys
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pruning.data.files.formats import DataFileError, RowFault
from pruning.data.files.jsonl import read_jsonl
from pruning.errors import PermanentError, SplitMissingError
from pruning.hub.local import find_folder
from pruning.sources import Sources
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import Task

_NO_LIMIT = sys.maxsize
"""Of the decompressed bytes of a local file, which the operator has put there."""


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
    number = 0
    try:
        with file.open("rb") as opened:
            for number, row in enumerate(read_jsonl(opened, _NO_LIMIT, []), 1):
                if isinstance(row, RowFault):
                    raise _invalid(file, f"row {number} {row.detail}")
                yield number, row
    except (OSError, DataFileError) as fault:
        raise _invalid(file, f"row {number + 1} cannot be read: {fault}") from fault


def read_columns(file: Path, names: Sequence[str], limit: int | None = None) -> dict[str, list[Any]]:
    """The values of some columns, of the first ``limit`` rows. Raises PermanentError (``rows_invalid``, ``column_missing``)."""
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for number, row in islice(iter_rows(file), limit):
        for name, column in columns.items():
            if name not in row:
                raise PermanentError(
                    f"row {number} of {file.name} of data set {file.parent.name!r} has no column {name!r}; its columns are: "
                    f"{', '.join(row) or 'none'}",
                    code="column_missing", param="task",
                )  # fmt: skip
            column.append(row[name])
    return columns


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
