"""Filling of the columns that lists of jobs are filtered by, for rows that an older version of the service inserted.

Called by ``worker.maintenance.garbage_collector``. While an upgrade goes on, an API of the version before inserts jobs without
these columns; they would never be in a filtered list.
"""

from sqlalchemy import text
from sqlalchemy.orm import Session

from service.db.models.list_indexes import text_in_spec

_FIELDS = ("model", "task", "method")
_BATCH = 500


def fill_list_columns(session: Session) -> int:
    """Fill some rows that lack a column; how many. The next call finds the next ones."""
    dialect = session.get_bind().dialect.name
    values = ", ".join(f"{field} = {text_in_spec(field, dialect)}" for field in _FIELDS)
    # an index finds them; every spec has a model and a method, and a row of this version has them in the columns
    found = "SELECT id FROM jobs WHERE export_of IS NULL AND method IS NULL AND {} IS NOT NULL LIMIT {}{}"
    lock = " FOR UPDATE SKIP LOCKED" if dialect == "postgresql" else ""
    chosen = found.format(text_in_spec("method", dialect), _BATCH, lock)
    result = session.connection().execute(text(f"UPDATE jobs SET {values} WHERE id IN ({chosen})"))  # noqa: S608 - names above
    return result.rowcount
