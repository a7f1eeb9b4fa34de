"""Profiler of the columns of a split: counts of kinds of values, and all distinct values where they are few.

Called by the process that parses uploads and by the check of local folders; :mod:`pruning.data.profile` reads the result.
Standard library only, for a quick start.
"""

from collections.abc import Collection, Mapping
from typing import Any

MAX_DISTINCT_VALUES = 1000
"""Distinct values of a column that are kept, as many as a task can have classes."""
MAX_VALUE_CHARS = 100
"""A longer value is a text, not a label."""
_MAX_VALUES_IN_ALL = 10_000
"""Distinct values of all columns: they are stored with the data set, and shown."""


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
                len(values) == MAX_DISTINCT_VALUES or (kind == "text" and len(value) > MAX_VALUE_CHARS)
            ):
                self._values[name] = None
            else:
                values.setdefault(value, [0, self.rows])[0] += 1

    def summary(self) -> list[dict[str, Any]]:
        """The statistics so far, as :class:`pruning.data.profile.Column` has them."""
        self._drop_values()
        return [
            {
                "name": name,
                "kinds": {kind: {"rows": rows, "first": first} for kind, (rows, first) in kinds.items()},
                "values": self._listed(name),
            }
            for name, kinds in self._kinds.items()
        ]

    def _drop_values(self) -> None:
        """Forget the values of the columns with most of them, until what is left can be stored with a data set."""
        counts = {name: len(values) for name, values in self._values.items() if values is not None}
        while sum(counts.values()) > _MAX_VALUES_IN_ALL:
            name = max(counts, key=counts.__getitem__)
            self._values[name] = None
            del counts[name]

    def _listed(self, name: str) -> list[dict[str, Any]] | None:
        values = self._values[name]
        if values is None:
            return None
        return [{"rows": rows, "first": first, "value": value} for value, (rows, first) in values.items()]


def value_kind(value: Any) -> str:
    """Kind of a JSON value: ``text``, ``integer``, ``number``, ``boolean``, ``null`` or ``other``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "text"
    return "integer" if isinstance(value, int) else "number" if isinstance(value, float) else "other"
