"""Indexes of the lists of jobs, and the columns that repeat fields of the spec for them.

A list has one kind of jobs, of one owner or of all, with one value in one column or with any. Each such list has an index that
holds exactly its jobs in its order, so a page is one range of that index, however many jobs there are and however few match.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Index, text

LISTED_LENGTH = 200
"""Length of a column that repeats a field of the spec: the longest value a filter may have."""
_KINDS = {
    "pruning": ("export_of IS NULL", ("", "status", "task", "model", "method")),
    # export and evaluation jobs are few: scanning those of one owner for a model needs no index
    "export": ("export_of IS NOT NULL AND evaluation IS NULL", ("", "status")),
    "evaluation": ("export_of IS NOT NULL AND evaluation IS NOT NULL", ("", "status")),
}


def default_from_spec(field: str) -> Callable[[Any], str | None]:
    """Default of a column that repeats ``field`` of the spec, where that is a string; a custom task is not."""

    def value(context: Any) -> str | None:  # SQLAlchemy's DefaultExecutionContext, which is not typed
        found = context.get_current_parameters()["spec"].get(field)
        return found if isinstance(found, str) else None

    return value


def devices_from_spec(context: Any) -> int:
    """Default of the column that repeats the number of devices, which is one where the spec names none."""
    found = context.get_current_parameters()["spec"].get("devices")
    return found if isinstance(found, int) else 1


def text_in_spec(field: str, dialect: str) -> str:
    """SQL expression for the same value."""
    text_of = {
        "postgresql": "CASE WHEN json_typeof(spec -> '{0}') = 'string' THEN spec ->> '{0}' END",
        "sqlite": "CASE json_type(spec, '$.{0}') WHEN 'text' THEN json_extract(spec, '$.{0}') END",
    }
    return text_of[dialect].format(field)


def list_indexes() -> list[Index]:
    """The index of every list."""
    found = []
    for kind, (condition, columns) in _KINDS.items():
        for column in columns:
            for owner in ("", "owner"):
                held = [name for name in (owner, column, "created_at", "id") if name]
                name, where = f"ix_jobs_{kind}_{'_'.join(held)}", text(condition)
                found.append(Index(name, *held, postgresql_where=where, sqlite_where=where))
    return found
