"""Check of a local data set folder against a task: splits, columns and, as far as they are read, every row.

Called by the API before a job is accepted. The rows are read by the trainer's reader and checked by the trainer's rules
(:mod:`pruning.data.column_checks`). Torch-free.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from pruning.data.answers import check_answer
from pruning.data.bad_rows import BadRows
from pruning.data.column_checks import check_same_tags, check_split_columns
from pruning.data.column_profiler import ColumnProfiler
from pruning.data.column_statistics import Column
from pruning.data.holdout import default_share
from pruning.data.jsonl import find_split, iter_rows, missing_column, read_columns, read_first_row
from pruning.data.row_checks import GivenRows, fitting_rows
from pruning.errors import PermanentError, SplitMissingError
from pruning.spec.custom_task import CustomTask
from pruning.spec.tasks import Task, resolve_task

_MAX_ROWS = 200_000
"""Rows of a split that are read before a job is accepted: about a second. The trainer reads the rest."""


def check_dataset(
    folder: Path,
    given: str | CustomTask,
    rows: Mapping[str, int | None] | None = None,
    validation_share: float | None = None,
    bad_rows_limit: float | None = None,
) -> float | None:
    """Refuse a task that a data set folder does not fit; the share of the training split that is held out, if any is.

    ``rows`` is how many of a split the run will read, by split; ``validation_share`` and ``bad_rows_limit`` are the spec's.

    Raises PermanentError (``split_missing``, ``rows_invalid``, ``column_missing``, ``labels_mismatch``, ``too_many_bad_rows``);
    ``param`` is the task's field, or ``bad_rows_limit``.
    """
    task = replace(resolve_task(given), bad_rows_limit=bad_rows_limit)
    custom = not isinstance(given, str)
    files = {task.train_split: find_split(folder, task.train_split, param="task.train_split" if custom else "task")}
    try:
        for split in task.validation_splits if validation_share is None else ():
            files[split] = find_split(folder, split, param="task.validation_split" if custom else "task")
    except SplitMissingError as missing:
        validation_share = default_share(task, missing)
    profiles: dict[str, tuple[Column, ...]] = {}
    for split, file in files.items():
        limit = (rows or {}).get(split) if validation_share is None else None  # held out of all rows
        try:
            columns = _check_file(file, task, limit)
        except PermanentError as refusal:
            if not custom and refusal.param not in (None, "bad_rows_limit"):
                refusal.param = "task"
            raise
        if columns is not None:
            profiles[split] = columns
    if profiles:
        check_same_tags(task, profiles, f"data set {folder.name!r}")
    return validation_share


def check_split_file(folder: Path, task: Task, split: str, rows: int | None) -> None:
    """Refuse a task that one split of a data set folder does not fit; ``rows`` is how many the run will read.

    Raises as :func:`check_dataset`; ``param`` is the field of a custom task.
    """
    _check_file(find_split(folder, split), task, rows)


def _check_file(file: Path, task: Task, limit: int | None) -> tuple[Column, ...] | None:
    """The statistics of a split that fits the task; None where bad rows are skipped. Raises PermanentError."""
    about = file.stat()
    if task.bad_rows_limit is not None:
        _count_bad_rows(file, about.st_mtime_ns, about.st_size, task, limit)
        return None
    _check_columns(task, file, read_first_row(file))
    most = min(_MAX_ROWS, limit or _MAX_ROWS)
    columns = _profile(file, about.st_mtime_ns, about.st_size, task.columns, most)
    check_split_columns(task, columns, f"{file.name} of data set {file.parent.name!r}")
    if task.kind == "span":
        _check_answers(file, about.st_mtime_ns, about.st_size, task, most)
    return columns


@lru_cache(maxsize=64)  # a sweep posts the same data set many times
def _profile(file: Path, _modified: int, _bytes: int, names: tuple[str, ...], most: int) -> tuple[Column, ...]:
    profiler = ColumnProfiler()
    for number, row in islice(iter_rows(file), most):
        for name in names:
            if name not in row:
                raise _column_missing(file, name, "task", row, f"row {number} of ")
        profiler.add({name: row[name] for name in names})
    return tuple(Column.model_validate(column) for column in profiler.summary())


@lru_cache(maxsize=16)
def _check_answers(file: Path, _modified: int, _bytes: int, task: Task, most: int) -> None:
    columns, _ = read_columns(file, task.columns, most)
    where = f"{file.name} of data set {file.parent.name!r}"
    contexts = columns[task.text[1]]  # strings, as the check of the columns has shown
    for number, (answer, context) in enumerate(zip(columns[task.label], contexts, strict=True), 1):
        check_answer(answer, context, f"row {number} of {where}", no_answers=task.no_answers)


@lru_cache(maxsize=16)
def _count_bad_rows(file: Path, _modified: int, _bytes: int, task: Task, limit: int | None) -> None:
    """Refuse a split of which more rows are bad than may be skipped, unless it has rows that are not read here."""
    bad = BadRows(f"{file.name} of data set {file.parent.name!r}", task.bad_rows_limit)
    columns, numbers = read_columns(file, task.columns, min(_MAX_ROWS, limit or _MAX_ROWS), bad)
    if not bad.read:
        read_first_row(file)  # which refuses an empty file
    targets = [columns[name] for name in task.targets]
    labels = [*zip(*targets, strict=True)] if task.label_columns else targets[0]
    fitting_rows(GivenRows(tuple(columns[name] for name in task.text), labels, numbers), task, bad)
    if bad.read < _MAX_ROWS or bad.read == limit:
        bad.require_few()


def _check_columns(task: Task, file: Path, row: dict[str, Any]) -> None:
    missing = missing_column(task, row)
    if missing is not None:
        column, param = missing
        raise _column_missing(file, column, param, row)


def _column_missing(file: Path, column: str, param: str, row: dict[str, Any], which: str = "") -> PermanentError:
    return PermanentError(
        f"{which}{file.name} of data set {file.parent.name!r} has no column {column!r}; its columns are: "
        f"{', '.join(map(str, row)) or 'none'}",
        code="column_missing",
        param=param,
    )
