"""Schema changes under a running service: what migrations use in place of Alembic's operations on tables that exist.

On PostgreSQL a change of a table waits for every transaction that uses it, and all others wait behind the change. So nothing here
holds a lock that stops reads or writes for longer than the catalog takes: constraints are added unchecked and validated later,
indexes are built CONCURRENTLY, rows are changed in batches that commit by themselves. Those run outside of the migration's
transaction, which commits before them; a migration that was interrupted then runs again, so every function here can be repeated.
On SQLite, which has one lock for all, they are the plain operations inside the one transaction of all migrations.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import PendingRollbackError

_BATCH_ROWS = 1000
"""Rows changed per transaction, some tens of milliseconds: as long as a heartbeat may wait for its row."""
_DROP_INVALID = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid) THEN
        PERFORM set_config('lock_timeout', '2s', true);
        DROP INDEX {name};
    END IF;
END $$
"""
_UPDATE_IN_BATCHES = """
DO $$
DECLARE
    chosen text[];
    seen text := '';
BEGIN
    LOOP
        SELECT array_agg(id ORDER BY id) INTO chosen
        FROM (SELECT id FROM {table} WHERE id > seen ORDER BY id LIMIT {rows}) AS following;
        EXIT WHEN chosen IS NULL;
        UPDATE {table} SET {values} WHERE id IN (
            SELECT id FROM {table} WHERE id = ANY (chosen) AND {where} FOR NO KEY UPDATE SKIP LOCKED
        );
        COMMIT;
        seen := chosen[array_upper(chosen, 1)];
    END LOOP;
END $$
"""


class ForeignKey(NamedTuple):
    """A reference from ``column`` to ``id`` of the table ``referred``."""

    name: str
    column: str
    referred: str
    ondelete: str


class Index(NamedTuple):
    """An index on columns, of the rows that ``where`` matches or of all."""

    name: str
    columns: Sequence["str | sa.TextClause"]
    where: str | None = None


def extend_table(
    table: str,
    *,
    columns: Sequence["sa.Column[Any]"] = (),
    foreign_keys: Sequence[ForeignKey] = (),
    checks: Mapping[str, str] | None = None,
    indexes: Sequence[Index] = (),
) -> None:
    """Add to a table that exists. A check of the same name is replaced; a column's default must be a constant."""
    if on_postgresql():
        _extend_on_postgresql(table, columns, foreign_keys, checks or {})
        for index in indexes:
            create_index(table, index)
        return
    present = {check["name"] for check in sa.inspect(op.get_bind()).get_check_constraints(table)}
    with op.batch_alter_table(table) as altered:
        for column in columns:
            altered.add_column(column)
        for key in foreign_keys:
            altered.create_foreign_key(op.f(key.name), key.referred, [key.column], ["id"], ondelete=key.ondelete)
        for name, condition in (checks or {}).items():
            if name in present:
                altered.drop_constraint(op.f(name), type_="check")
            altered.create_check_constraint(op.f(name), condition)
        for index in indexes:
            where = sa.text(index.where) if index.where else None
            altered.create_index(op.f(index.name), list(index.columns), sqlite_where=where)


def create_index(table: str, index: Index) -> None:
    """Build an index while rows are written; one that an interrupted build left invalid is built again."""
    where = sa.text(index.where) if index.where else None
    with outside_transaction():
        if on_postgresql():
            op.execute(_DROP_INVALID.format(name=index.name))
        op.create_index(
            op.f(index.name),
            table,
            list(index.columns),
            if_not_exists=True,
            sqlite_where=where,
            postgresql_where=where,
            postgresql_concurrently=True,
        )


def drop_index(table: str, name: str) -> None:
    """Drop an index that may be in use."""
    with outside_transaction():
        op.drop_index(op.f(name), table, if_exists=True, postgresql_concurrently=True)


def update_in_batches(table: str, values: Mapping[str, str], where: str, rows: int = _BATCH_ROWS) -> None:
    """Set columns to SQL expressions in the rows that ``where`` matches, by their text key ``id``.

    Rows that another transaction holds are left out on PostgreSQL: the service itself has a step that finds them later, which it
    needs for the rows that the version before inserts meanwhile.
    """
    written = ", ".join(f"{column} = {expression}" for column, expression in values.items())
    if not on_postgresql():
        op.execute(f"UPDATE {table} SET {written} WHERE {where}")  # noqa: S608 - names and expressions of migrations
        return
    with outside_transaction():
        op.execute(_UPDATE_IN_BATCHES.format(table=table, values=written, where=where, rows=rows))


@contextmanager
def outside_transaction() -> Iterator[None]:
    """On PostgreSQL: commits what the migration did so far; what is in the block commits by itself."""
    if not on_postgresql():
        yield
        return
    try:
        with op.get_context().autocommit_block():
            yield
    except PendingRollbackError as error:  # of Alembic's own commit after a lost connection: the error before says why
        raise (error.__context__ or error) from None


def on_postgresql() -> bool:
    """Whether the migration runs, or is written out, for PostgreSQL."""
    return op.get_context().dialect.name == "postgresql"


def _extend_on_postgresql(
    table: str, columns: Sequence["sa.Column[Any]"], foreign_keys: Sequence[ForeignKey], checks: Mapping[str, str]
) -> None:
    for column in columns:
        op.add_column(table, column, if_not_exists=True)
    for name in (*(key.name for key in foreign_keys), *checks):
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    for key in foreign_keys:
        op.create_foreign_key(
            op.f(key.name), table, key.referred, [key.column], ["id"], ondelete=key.ondelete, postgresql_not_valid=True
        )
    for name, condition in checks.items():
        op.create_check_constraint(op.f(name), table, condition, postgresql_not_valid=True)
    names = [*(key.name for key in foreign_keys), *checks]
    if names:
        with outside_transaction():  # validation lets others read and write, except for the lock of the statements above
            for name in names:
                op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")
