"""What lists of jobs are found by: some fields of the spec as columns, and an index for every list, in its order.

A list is of one kind, of one owner or of all, and of what has one value in one column or of everything. Each of these has an
index that holds its jobs and no others, newest last: a page is then a piece of it, however many jobs there are and however
few it is looking for.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Index, text

LISTED_LENGTH = 200
"""Of a column that repeats a field of the spec: as long as what may be asked for."""
_KINDS = {
    "pruning": ("export_of IS NULL", ("", "status", "task", "model", "method")),
    # there are few, so that looking through one owner's for a model is not worth an index
    "exporting": ("export_of IS NOT NULL", ("", "status")),
}


def default_from_spec(field: str) -> Callable[[Any], str | None]:
    """Default of a column that repeats ``field`` of the spec, where that is a text; a custom task is none."""

    def value(context: Any) -> str | None:  # SQLAlchemy's DefaultExecutionContext, which is not typed
        found = context.get_current_parameters()["spec"].get(field)
        return found if isinstance(found, str) else None

    return value


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
