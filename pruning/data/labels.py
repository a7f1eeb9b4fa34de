"""Class labels: the class that a value of the label column stands for, by name or by id.

The one rule, for the API (on the distinct values of a column, before a job is accepted) and for the trainer (on every row). Class
names win over class ids: with the names 1, 2, 3 the value 1 is the first class and not the second. Where names could be read as
ids, ids are not taken at all, so that a value means the same in every split. Torch-free.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pruning.data.files.csv import NUMBER
from pruning.errors import PermanentError
from pruning.spec.tasks import Task

_NO, _YES = frozenset({"false", "no"}), frozenset({"true", "yes"})
_MAX_LISTED = 20


def parse_label(label: Any, task: Task, where: str) -> int | float:
    """The class id or number that a row's label stands for; ``where`` names the row in messages.

    Raises PermanentError (``labels_mismatch``) for a label that the task does not have.
    """
    if task.kind == "regression":
        return _parse_number(label, where)
    found = _class_of(label, task.labels or (), len(task.label_words))
    if found is None:
        raise _unknown_label(label, task, where)
    return found


def check_one_kind(first_rows: Mapping[str, int], column: str, where: str) -> None:
    """Refuse a label column that mixes texts with numbers or truth values.

    ``first_rows``: by kind (:func:`pruning.data.column_profiler.value_kind`), the number of the first row with it. Raises
    PermanentError (``labels_mismatch``) with these rows.
    """
    numbers = first_rows.keys() & {"integer", "number"}
    if len(first_rows.keys() & {"text", "boolean"}) + bool(numbers) > 1:
        mixed = " and ".join(f"{kind} (first in row {first_rows[kind]})" for kind in sorted(first_rows))
        raise PermanentError(
            f"label column {column!r} of {where} mixes {mixed}; write every label in the same way, as a class name or as a "
            "class id",
            code="labels_mismatch", param="task.label",
        )  # fmt: skip


def describe_classes(values: Iterable[Any], task: Task) -> str:
    """Which value is which class, in words; empty for a task without classes. All values must be ones that parse."""
    if task.kind != "classification":
        return ""
    names = task.labels or task.label_words
    pairs = sorted({(int(parse_label(value, task, "")), _shown(value)) for value in values})
    shown = [f"{value} is class {index} ({names[index]})" for index, value in pairs[:_MAX_LISTED]]
    more = f" and {len(pairs) - _MAX_LISTED} more" if len(pairs) > _MAX_LISTED else ""
    return f"labels in column {task.label!r}: {', '.join(shown)}{more}"


def _class_of(label: Any, names: Sequence[str], classes: int) -> int | None:
    if isinstance(label, bool):
        return _class_of_truth_value(label, names, classes)
    if isinstance(label, str):
        return names.index(label) if label in names else None
    if not isinstance(label, int | float):
        return None
    numbers = [_number(name) for name in names]
    named = [index for index, number in enumerate(numbers) if number == label]
    if len(named) > 1:  # 1 and 1.0
        named = [index for index in named if names[index] == str(label)]
    if named:
        return named[0] if len(named) == 1 else None
    ids = range(classes)
    if any(number in ids for number in numbers if number is not None):
        return None
    return int(label) if label in ids else None


def _class_of_truth_value(label: bool, names: Sequence[str], classes: int) -> int | None:
    """By the names true and false (or yes and no) where there are such; else false is class 0 and true is class 1 of two."""
    wanted = _YES if label else _NO
    named = [index for index, name in enumerate(names) if name.casefold() in wanted]
    if named:
        return named[0] if len(named) == 1 else None
    if any(name.casefold() in _YES | _NO for name in names) or classes != 2:
        return None
    numbers = {_number(name) for name in names} - {None}
    if numbers and numbers != {0.0, 1.0}:
        return None
    return _class_of(int(label), names, classes)


def _number(name: str) -> float | None:
    """The number that a class name is read as in a column of numbers, if it is one."""
    return float(name) if NUMBER.fullmatch(name) else None


def _parse_number(label: Any, where: str) -> float:
    if not isinstance(label, int | float) or isinstance(label, bool) or not math.isfinite(label):
        raise PermanentError(f"{where}: label {label!r} is not a number", code="labels_mismatch", param="task")
    return float(label)


def _unknown_label(label: Any, task: Task, where: str) -> PermanentError:
    classes = len(task.label_words)
    named = f", or one of {', '.join(task.labels)}" if task.labels else ""
    by_name = any(number in range(classes) for name in task.labels or () if (number := _number(name)) is not None)
    if by_name:
        message = (
            f"{where}: label {label!r} is not one of the class names {', '.join(task.labels or ())}; these are numbers, so "
            "labels are read as names and not as class ids"
        )
    else:
        message = (
            f"{where}: label {label!r} is not a class id from 0 to {classes - 1}{named}; label_words gives {classes} "
            "classes, use one word per class and labels that count from 0"
            if task.kind == "classification"
            else f"{where}: label {label!r} is not a label id from 0 to {classes - 1}{named}; name every label in labels"
        )
    return PermanentError(
        message, code="labels_mismatch", param="label_words" if task.kind == "classification" else "task.labels"
    )


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
