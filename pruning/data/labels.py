"""Class labels: the class that a value of the label column stands for, by name or by id.

The only implementation of the rule, for the API (on the distinct values of a column, before a job is accepted) and for the trainer
(on every row). Class names win over class ids: with the names 1, 2, 3 the value 1 is the first class and not the second. Where
names could be read as ids, ids are not taken at all, so that a value means the same in every split. Torch-free.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pruning.data.files.csv import NUMBER
from pruning.errors import PermanentError
from pruning.spec.tasks import Task
from pruning.spec.wording import listed

_NO, _YES = frozenset({"false", "no"}), frozenset({"true", "yes"})
_MAX_LISTED = 20


def parse_label(label: Any, task: Task, where: str) -> int | float:
    """The class id or number that a row's label stands for; ``where`` names the row in messages.

    Raises PermanentError (``labels_mismatch``) for a label that the task does not have.
    """
    if task.kind == "regression":
        return _parse_number(label, where)
    found = _index(task.labels or (), task.classes).class_of(label)
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
            code="labels_mismatch",
            param="task.label",
        )


def same_kind(kind: str) -> str:
    """What :func:`check_one_kind` takes for one kind: ``integer`` and ``number`` are."""
    return "number" if kind == "integer" else kind


def describe_classes(values: Iterable[Any], task: Task) -> str:
    """Sentence that maps values to classes; empty for a task without classes. All values must be valid labels."""
    if task.kind != "classification":
        return ""
    names = task.class_names
    pairs = sorted({(int(parse_label(value, task, "")), _shown(value)) for value in values})
    shown = [f"{value} is class {index} ({names[index]})" for index, value in pairs[:_MAX_LISTED]]
    more = f" and {len(pairs) - _MAX_LISTED} more" if len(pairs) > _MAX_LISTED else ""
    return f"labels in column {task.label!r}: {', '.join(shown)}{more}"


class _ClassIndex:
    """Classes by the names and numbers that stand for them; a search per row would take minutes at 5000 classes."""

    def __init__(self, names: Sequence[str], classes: int) -> None:
        self._names, self._classes = names, classes
        self._by_name = {name: index for index, name in reversed([*enumerate(names)])}
        self._by_number: dict[float, list[int]] = {}
        for index, name in enumerate(names):
            if (number := _number(name)) is not None:
                self._by_number.setdefault(number, []).append(index)
        self._truth_values = {
            value: [index for index, name in enumerate(names) if name.casefold() in words]
            for value, words in ((False, _NO), (True, _YES))
        }
        self.takes_ids = not any(number in range(classes) for number in self._by_number)
        """Whether class ids are taken: names that could be read as ids rule them out."""

    def class_of(self, label: Any) -> int | None:
        """The class id that a label stands for; None where it is none of them."""
        if isinstance(label, bool):
            return self._class_of_truth_value(label)
        if isinstance(label, str):
            return self._by_name.get(label)
        if not isinstance(label, int | float):
            return None
        named = self._by_number.get(label, [])
        if len(named) > 1:  # 1 and 1.0
            named = [index for index in named if self._names[index] == str(label)]
        if named:
            return named[0] if len(named) == 1 else None
        return int(label) if self.takes_ids and label in range(self._classes) else None

    def _class_of_truth_value(self, label: bool) -> int | None:
        """Class of a truth value: the class named true or false (or yes or no) if there is one; else, of two classes, false is
        class 0 and true class 1."""
        named = self._truth_values[label]
        if named:
            return named[0] if len(named) == 1 else None
        if self._truth_values[not label] or self._classes != 2:
            return None
        if self._by_number and self._by_number.keys() != {0.0, 1.0}:
            return None
        return self.class_of(int(label))


@lru_cache(maxsize=8)
def _index(names: tuple[str, ...], classes: int) -> _ClassIndex:
    return _ClassIndex(names, classes)


def _number(name: str) -> float | None:
    """The number that a class name is read as in a column of numbers, if it is one."""
    return float(name) if NUMBER.fullmatch(name) else None


def _parse_number(label: Any, where: str) -> float:
    if not isinstance(label, int | float) or isinstance(label, bool) or not math.isfinite(label):
        raise PermanentError(f"{where}: label {label!r} is not a number", code="labels_mismatch", param="task")
    return float(label)


def _unknown_label(label: Any, task: Task, where: str) -> PermanentError:
    names = listed(task.labels or ())
    if not _index(task.labels or (), task.classes).takes_ids:
        message = (
            f"{where}: label {label!r} is not one of the class names {names}; these are numbers, so labels are read as names "
            "and not as class ids"
        )
    else:
        named = f", or one of {names}" if names else ""
        source = "labels names" if task.labels else "label_words gives"
        message = (
            f"{where}: label {label!r} is not a class id from 0 to {task.classes - 1}{named}; "
            f"{source} {task.classes} classes, use one {'name' if task.labels else 'word'} per class and labels that count from 0"
            if task.kind == "classification"
            else f"{where}: label {label!r} is not a label id from 0 to {task.classes - 1}{named}; name every label in labels"
        )
    return PermanentError(message, code="labels_mismatch", param="label_words" if task.kind == "classification" else "task.labels")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
