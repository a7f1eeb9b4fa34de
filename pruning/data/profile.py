"""Column statistics of an uploaded data set: kinds of values, and all distinct values where they are few.

Gathered by ``api.uploads`` while a data set arrives, and stored with it. :func:`check_columns` then checks a task against the
statistics, without the rows, by the trainer's rules (:mod:`pruning.data.jsonl`), and names the first row that breaks one.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from pruning.data.jsonl import missing_column, parse_label
from pruning.errors import PermanentError
from pruning.spec.tasks import CustomTask, Task, resolve_task

MAX_DISTINCT_VALUES = 1000
"""Distinct values of a column that are kept, as many as a task can have classes."""
_MAX_VALUE_CHARS = 100
"""A longer value is a text, not a label."""


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


class ColumnProfiler:
    """Gathers the statistics of one split, row by row."""

    def __init__(self) -> None:
        self.rows = 0
        self._kinds: dict[str, dict[str, list[int]]] = {}
        self._values: dict[str, dict[str | int | float, list[int]] | None] = {}

    @property
    def names(self) -> Collection[str]:
        """In the order of the first row."""
        return self._kinds.keys()

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row; its columns must be those of the first row."""
        self.rows += 1
        for name, value in row.items():
            kind = value_kind(value)
            self._kinds.setdefault(name, {}).setdefault(kind, [0, self.rows])[0] += 1
            values = self._values.setdefault(name, {})
            if values is None or kind in ("null", "boolean", "other"):
                continue
            if value not in values and (
                len(values) == MAX_DISTINCT_VALUES or (kind == "text" and len(value) > _MAX_VALUE_CHARS)
            ):
                self._values[name] = None
            else:
                values.setdefault(value, [0, self.rows])[0] += 1

    def summary(self) -> list[Column]:
        """The statistics so far."""
        return [
            Column(
                name=name, kinds={kind: _seen(counted) for kind, counted in kinds.items()}, values=self._listed(name)
            )
            for name, kinds in self._kinds.items()
        ]

    def _listed(self, name: str) -> tuple[Value, ...] | None:
        values = self._values[name]
        if values is None:
            return None
        return tuple(Value(value=value, rows=rows, first=first) for value, (rows, first) in values.items())


def _seen(counted: list[int]) -> Seen:
    rows, first = counted
    return Seen(rows=rows, first=first)


def value_kind(value: Any) -> str:
    """Kind of a JSON value: ``text``, ``integer``, ``number``, ``boolean``, ``null`` or ``other``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    return "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "other"


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
        for index, text in enumerate(task.text):
            _check_text(columns[text], f"task.text.{index}", where)
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
    """The trainer's rule (:func:`pruning.data.jsonl.parse_label`), once for each distinct label."""
    odd = [(seen.first, kind) for kind, seen in column.kinds.items() if kind in ("null", "boolean", "other")]
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
            f"label column {column.name!r} of {where} has texts longer than {_MAX_VALUE_CHARS} characters or more than "
            f"{MAX_DISTINCT_VALUES} different values; name the column of the labels",
            code="labels_mismatch", param="task.label",
        )  # fmt: skip
    for found in column.values:
        parse_label(found.value, task, f"row {found.first} of {where}")
