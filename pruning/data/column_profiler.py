"""Profiler of the columns of a split: counts of kinds of values, and all distinct values where they are few.

Called by the process that parses uploads and by the check of local folders; :mod:`pruning.data.column_checks` reads the result.
Standard library only, for a quick start.
"""

from collections.abc import Collection, Mapping
from itertools import combinations
from typing import Any

from pruning.data.answers import fits_context, is_answers
from pruning.data.iob import iob2_fault

MAX_DISTINCT_VALUES = 5000
"""Distinct values of a column that are kept, as many as a task can have classes."""
MAX_VALUE_CHARS = 200
"""A longer value is a text, not a label."""
_MAX_COMPARED = 8
"""Columns that are compared with each other, the first ones: lengths of lists, and contexts of answers. Faults in other
columns are found by the trainer."""
_MAX_VALUES_IN_ALL = 10_000
"""Distinct values of all columns: they are stored with the data set, and shown."""


class _Values:
    """Kinds and distinct values of one column, or of the entries of its lists, each with its number of rows and the first."""

    def __init__(self) -> None:
        self.kinds: dict[str, list[int]] = {}
        self.values: dict[str | int | float, list[int]] | None = {}

    def add(self, value: Any, kind: str, row: int) -> None:
        self.kinds.setdefault(kind, [0, row])[0] += 1
        values = self.values
        if values is None or kind in ("null", "boolean", "other"):
            return
        if value not in values and (len(values) == MAX_DISTINCT_VALUES or (kind == "text" and len(value) > MAX_VALUE_CHARS)):
            self.values = None
        else:
            values.setdefault(value, [0, row])[0] += 1

    def summary(self) -> dict[str, Any]:
        listed = (
            None
            if self.values is None
            else [{"rows": rows, "first": first, "value": value} for value, (rows, first) in self.values.items()]
        )
        kinds = {kind: {"rows": rows, "first": first} for kind, (rows, first) in self.kinds.items()}
        return {"kinds": kinds, "values": listed}


class _Lists(_Values):
    """Statistics of the lists of a column, over their entries: of a kind or value, ``rows`` counts entries."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0
        self.first: int | None = None
        self.other: int | None = None
        self.empty: int | None = None
        self.blank: int | None = None
        self.not_iob2: dict[str, Any] | None = None
        self.unequal: dict[str, int] = {}

    def add_row(self, value: Any, row: int) -> None:
        """Count a value that is neither text, number, truth value nor null."""
        if not isinstance(value, list):
            self.other = self.other or row
            return
        self.rows += 1
        self.first = self.first or row
        self.empty = self.empty or (row if not value else None)
        for entry in value:
            kind = value_kind(entry)
            self.add(entry, kind, row)
            if kind == "text" and self.blank is None and not entry.strip():
                self.blank = row
        if self.not_iob2 is None and self.kinds.keys() == {"text"}:
            fault = iob2_fault(value)
            self.not_iob2 = None if fault is None else {"row": row, "position": fault[0] + 1, "fault": fault[1]}

    def summary(self) -> dict[str, Any]:
        return {
            **super().summary(),
            "rows": self.rows,
            "first": self.first,
            "other": self.other,
            "empty": self.empty,
            "blank": self.blank,
            "not_iob2": self.not_iob2,
            "unequal": self.unequal,
        }


class _Answers:
    """Statistics of answers in SQuAD's form: rows without an answer, and by context column the first row whose answer does not
    occur in it."""

    def __init__(self) -> None:
        self.rows = self.none = 0
        self.malformed: int | None = None
        self.misplaced: dict[str, int] = {}

    def add_row(self, value: Any, row: Mapping[str, Any], number: int) -> None:
        """Count a value that is an object, against every text of its row."""
        self.rows += 1
        if not is_answers(value):
            self.malformed = self.malformed or number
            return
        self.none += not value["text"]
        for name in [name for name, text in row.items() if isinstance(text, str)][:_MAX_COMPARED]:
            if name not in self.misplaced and not fits_context(value, row[name]):
                self.misplaced[name] = number

    def summary(self) -> dict[str, Any]:
        return {"rows": self.rows, "none": self.none, "malformed": self.malformed, "misplaced": self.misplaced}


class ColumnProfiler:
    """Gathers the statistics of one split, row by row."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, _Values] = {}
        self._lists: dict[str, _Lists] = {}
        self._answers: dict[str, _Answers] = {}

    @property
    def names(self) -> Collection[str]:
        """Names of the columns, in the order of the first row."""
        return self._columns.keys()

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row; its columns must be those of the first row."""
        self.rows += 1
        for name, value in row.items():
            kind = value_kind(value)
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = _Values()
            column.add(value, kind, self.rows)
            if kind == "other":
                self._lists.setdefault(name, _Lists()).add_row(value, self.rows)
                if isinstance(value, dict):
                    self._answers.setdefault(name, _Answers()).add_row(value, row, self.rows)
        if len(self._lists) > 1:
            self._compare_lengths(row)

    def _compare_lengths(self, row: Mapping[str, Any]) -> None:
        """Note this row for each pair of the first columns of lists that differ in length, unless an earlier row is noted."""
        listed = [name for name in self._lists if isinstance(row.get(name), list)][:_MAX_COMPARED]
        for name, other in combinations(listed, 2):
            if len(row[name]) != len(row[other]):
                self._lists[name].unequal.setdefault(other, self.rows)
                self._lists[other].unequal.setdefault(name, self.rows)

    def summary(self) -> list[dict[str, Any]]:
        """The statistics so far, as :class:`pruning.data.column_statistics.Column` has them."""
        self._drop_values()
        return [
            {"name": name, **column.summary()}
            | ({"lists": self._lists[name].summary()} if name in self._lists else {})
            | ({"answers": self._answers[name].summary()} if name in self._answers else {})
            for name, column in self._columns.items()
        ]

    def _drop_values(self) -> None:
        """Drop the values of the columns with most distinct values, until the rest can be stored with a data set."""
        kept = [column for column in (*self._columns.values(), *self._lists.values()) if column.values is not None]
        kept.sort(key=lambda column: len(column.values or ()))
        while sum(len(column.values or ()) for column in kept) > _MAX_VALUES_IN_ALL:
            kept.pop().values = None


def value_kind(value: Any) -> str:
    """Kind of a JSON value: ``text``, ``integer``, ``number``, ``boolean``, ``null`` or ``other``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    return "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "other"
