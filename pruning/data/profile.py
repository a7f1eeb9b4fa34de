"""Column statistics of an uploaded data set: kinds of values, and all distinct values where they are few.

Gathered by :mod:`pruning.data.column_profiler` while a data set arrives, and stored with it. :func:`check_columns` then checks a
task against the statistics, without the rows, by the trainer's rules (:mod:`pruning.data.labels`), and names the first row that
breaks one.
"""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from pruning.data.column_profiler import MAX_DISTINCT_VALUES, MAX_VALUE_CHARS
from pruning.data.jsonl import missing_column
from pruning.data.labels import check_one_kind, parse_label
from pruning.errors import PermanentError
from pruning.spec.tasks import CustomTask, Task, resolve_task


class Seen(BaseModel):
    """Number of rows with a kind or value, and the first such row; rows count from 1."""

    model_config = ConfigDict(frozen=True)

    rows: int
    first: int


class Value(Seen):
    """A distinct value of a column."""

    value: str | int | float


class Column(BaseModel):
    """One column of a split."""

    model_config = ConfigDict(frozen=True)

    name: str
    kinds: dict[str, Seen]
    """By ``text``, ``integer``, ``number``, ``boolean``, ``null``, ``other``."""
    values: tuple[Value, ...] | None
    """Every different text or number, in the order they first occur; None: too many, or a text too long for a label."""


def check_columns(given: CustomTask, splits: Mapping[str, list[Column]]) -> None:
    """Refuse a task that an uploaded data set does not fit.

    Raises PermanentError (``split_missing``, ``column_missing``, ``rows_invalid``, ``labels_mismatch``) naming the task's field
    and, where a row is to blame, its number.
    """
    task = resolve_task(given)
    for field, name in (("train_split", given.train_split), ("validation_split", given.validation_split)):
        if name not in splits:
            there = ", ".join(sorted(splits))
            raise PermanentError(
                f"data set {given.dataset} has no split {name!r}; its splits are: {there}",
                code="split_missing", param=f"task.{field}",
            )  # fmt: skip
        columns = {column.name: column for column in splits[name]}
        where = f"split {name!r} of data set {given.dataset}"
        missing = missing_column(task, columns)
        if missing is not None:
            column, param = missing
            raise PermanentError(
                f"{where} has no column {column!r}; its columns are: {', '.join(columns)}",
                code="column_missing", param=param,
            )  # fmt: skip
        check_split_columns(task, splits[name], where)


def check_split_columns(task: Task, found: Iterable[Column], where: str) -> None:
    """Refuse a task whose texts or labels the values of a split do not fit; all its columns must be there.

    Raises PermanentError (``rows_invalid``, ``labels_mismatch``)."""
    columns = {column.name: column for column in found}
    for index, text in enumerate(task.text):
        _check_text(columns[text], f"task.text.{index}", where)
    if task.kind != "span":
        _check_labels(columns[task.label], task, where)


def _check_text(column: Column, param: str, where: str) -> None:
    other = [(seen.first, kind) for kind, seen in column.kinds.items() if kind != "text"]
    if other:
        row, kind = min(other)
        raise PermanentError(
            f"row {row} of {where}: column {column.name!r} is not text but {kind}; name a text column",
            code="rows_invalid", param=param,
        )  # fmt: skip


def _check_labels(column: Column, task: Task, where: str) -> None:
    """The trainer's rule (:mod:`pruning.data.labels`), once for each distinct label."""
    truth_values_too = ("boolean",) if task.kind == "regression" else ()
    odd = [(seen.first, kind) for kind, seen in column.kinds.items() if kind in ("null", "other", *truth_values_too)]
    if odd:
        row, kind = min(odd)
        raise PermanentError(
            f"row {row} of {where}: label column {column.name!r} holds {kind}; give every row a label",
            code="labels_mismatch", param="task.label",
        )  # fmt: skip
    if task.kind == "regression" and "text" not in column.kinds:
        return  # uploads with numbers that are not finite are refused
    if column.values is None:
        raise PermanentError(
            f"label column {column.name!r} of {where} has texts longer than {MAX_VALUE_CHARS} characters or more than "
            f"{MAX_DISTINCT_VALUES} different values; name the column of the labels",
            code="labels_mismatch", param="task.label",
        )  # fmt: skip
    if "boolean" in column.kinds:
        for truth_value in (False, True):
            parse_label(truth_value, task, f"row {column.kinds['boolean'].first} of {where}")
    for found in column.values:
        parse_label(found.value, task, f"row {found.first} of {where}")
    check_one_kind({kind: seen.first for kind, seen in column.kinds.items()}, column.name, where)
