"""Least number of rows that a task cannot use, from the column statistics of a data set.

Called at submission by :mod:`pruning.data.column_checks` for jobs that skip bad rows: statistics count values by column and do not
say which row has which, so that the trainer may find more. Torch-free.
"""

from collections.abc import Collection, Iterable

from pruning.data.column_statistics import Column
from pruning.data.label_sets import parse_indicator
from pruning.data.labels import parse_label
from pruning.errors import PermanentError
from pruning.spec.tasks import Task


def require_few_unfit(task: Task, columns: Iterable[Column], where: str, limit: float) -> None:
    """Raise PermanentError (``too_many_bad_rows``) where a column alone has more unfit rows than the share ``limit``."""
    by_name = {column.name: column for column in columns}
    for name in task.columns:
        column = by_name[name]
        rows = sum(seen.rows for seen in column.kinds.values())
        unfit = _unfit_rows(task, column)
        if unfit > limit * rows:
            raise PermanentError(
                f"{where}: {unfit:,} of {rows:,} rows or more cannot be used for column {name!r} ({unfit / rows:.2%}), and "
                f"bad_rows_limit lets {limit:.4g} of them be skipped; fix the rows or the task, or raise bad_rows_limit",
                code="too_many_bad_rows",
                param="bad_rows_limit",
            )


def _unfit_rows(task: Task, column: Column) -> int:
    if task.kind in ("token-classification", "span") or (task.kind == "multilabel" and not task.label_columns):
        lists = task.kind == "token-classification" or column.name == task.label
        return _of_kinds(column, {"other"} if lists else {"text"})
    if column.name in task.text:
        return _of_kinds(column, {"text"})
    if task.kind == "regression":
        return _of_kinds(column, {"integer", "number"})
    kinds = {"integer", "number", "boolean"} if task.label_columns else {"integer", "number", "boolean", "text"}
    values = [found for found in column.values or () if not (task.label_columns and isinstance(found.value, str))]
    return _of_kinds(column, kinds) + sum(found.rows for found in values if not _is_label(task, found.value))


def _of_kinds(column: Column, fitting: Collection[str]) -> int:
    """Rows with a value of another kind."""
    return sum(seen.rows for kind, seen in column.kinds.items() if kind not in fitting)


def _is_label(task: Task, value: str | int | float) -> bool:
    try:
        if task.label_columns:
            parse_indicator(value, "")
        else:
            parse_label(value, task, "")
    except PermanentError:
        return False
    return True
