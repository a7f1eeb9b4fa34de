"""Data sets as JSON Lines files in a folder: finding splits, and checks of columns and labels without loading the rows.

A data set is a folder of ``<split>.jsonl`` or ``<split>.jsonl.gz``, one JSON object per line. The API calls :func:`check_dataset`
before a job is accepted; the trainer finds the same files by :func:`find_split`.
"""

import gzip
import json
import math
from collections.abc import Container
from pathlib import Path
from typing import Any

from pruning.errors import PermanentError
from pruning.hub.local import find_folder
from pruning.sources import Sources
from pruning.spec.tasks import CustomTask, Task, resolve_task

MAX_ROW_BYTES = 16 * 1024 * 1024
"""Limit of one line, so that a file without line breaks is not read to its end."""


def dataset_folder_name(given: str | CustomTask) -> str:
    """Name of the task's folder under the data sets directory."""
    return given if isinstance(given, str) else given.dataset


def find_dataset(sources: Sources, name: str) -> Path | None:
    """Folder of the data set ``name``: among the uploaded ones, else in the data sets directory; None if it is in neither."""
    return find_folder(sources.uploads_dir, name) or find_folder(sources.datasets_dir, name)


def find_split(folder: Path, split: str, *, param: str = "task") -> Path:
    """The file of a split. Raises PermanentError (``split_missing``) that lists the splits there are."""
    plain = Path(split).name == split
    for name in (f"{split}.jsonl", f"{split}.jsonl.gz") if plain else ():
        if (folder / name).is_file():
            return folder / name
    there = sorted({file.name.removesuffix(".gz").removesuffix(".jsonl") for file in folder.glob("*.jsonl*")})
    raise PermanentError(
        f"data set {folder.name!r} has no {split}.jsonl or {split}.jsonl.gz; its splits are: {', '.join(there) or 'none'}",
        code="split_missing",
        param=param,
    )


def check_dataset(folder: Path, given: str | CustomTask) -> None:
    """Refuse a task whose data set folder lacks a split or, in a split's first row, a column.

    Raises PermanentError (``split_missing``, ``rows_invalid``, ``column_missing``); ``param`` is the task's field.
    """
    task = resolve_task(given)
    custom = not isinstance(given, str)
    splits = {task.train_split: "train_split"} | dict.fromkeys(task.validation_splits, "validation_split")
    for split, field in splits.items():
        file = find_split(folder, split, param=f"task.{field}" if custom else "task")
        _check_columns(task, file, read_first_row(file), custom=custom)


def read_first_row(file: Path) -> dict[str, Any]:
    """The first row of a split. Raises PermanentError (``rows_invalid``) when there is none."""
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rb") as lines:
            line = lines.readline(MAX_ROW_BYTES)
        row = json.loads(line) if line else None
    except (OSError, EOFError, ValueError) as fault:
        raise _invalid(file, f"its first line is not a row: {fault}") from fault
    if not isinstance(row, dict):
        raise _invalid(file, "it is empty" if not line else "its first line is not a JSON object")
    return row


def _invalid(file: Path, fault: str) -> PermanentError:
    return PermanentError(
        f"{file.name} of data set {file.parent.name!r} must have one JSON object per line; {fault}",
        code="rows_invalid",
        param="task",
    )


def _check_columns(task: Task, file: Path, row: dict[str, Any], *, custom: bool) -> None:
    missing = missing_column(task, row)
    if missing is not None:
        column, param = missing
        raise PermanentError(
            f"{file.name} of data set {file.parent.name!r} has no column {column!r}; its columns are: "
            f"{', '.join(map(str, row)) or 'none'}",
            code="column_missing",
            param=param if custom else "task",
        )


def missing_column(task: Task, columns: Container[str]) -> tuple[str, str] | None:
    """The first column of the task that is not among ``columns``, with the field of a custom task that names it."""
    wanted = {column: f"task.text.{index}" for index, column in enumerate(task.text)} | {task.label: "task.label"}
    return next(((column, param) for column, param in wanted.items() if column not in columns), None)


def parse_label(label: Any, task: Task, where: str) -> int | float:
    """The class id or number that a row's label stands for; ``where`` names the row in messages.

    Raises PermanentError (``labels_mismatch``) for a label that the task does not have.
    """
    number = isinstance(label, int | float) and not isinstance(label, bool)
    if task.kind == "regression":
        if not (number and math.isfinite(label)):
            raise PermanentError(f"{where}: label {label!r} is not a number", code="labels_mismatch", param="task")
        return float(label)
    classes = len(task.label_words)
    if isinstance(label, str) and task.labels is not None and label in task.labels:
        return task.labels.index(label)
    if not (number and label in range(classes)):
        named = f", or one of {', '.join(task.labels)}" if task.labels else ""
        raise PermanentError(
            f"{where}: label {label!r} is not a class id from 0 to {classes - 1}{named}; label_words gives {classes} "
            "classes, use one word per class and labels that count from 0",
            code="labels_mismatch", param="label_words",
        )  # fmt: skip
    return int(label)
