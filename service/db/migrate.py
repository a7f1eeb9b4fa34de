"""Database migrations (Alembic): upgrade, downgrade, and whether the schema is current.

Called by ``python -m migrations``, the command line and the readiness probe; Alembic's environment in ``migrations/env.py``
takes its connection from here.
"""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from service.db.engine import Database

SCHEMA_NEWER_EXIT_CODE = 4
"""Of every program that was to migrate a database of a later version."""
_MIGRATION_LOCK = 0x657370616C  # any number that no other user of the same PostgreSQL takes ("espal")
_LOCK_SECONDS = 2
"""How long a migration waits for the lock of a table: later statements on the table wait behind it."""
_ATTEMPTS, _PAUSE_SECONDS = 60, 5.0
"""Tries for the lock of a table: seven minutes in all, in which a dump or a long query may end."""
_LOCK_NOT_AVAILABLE = "55P03"
_LOCK_POLL_SECONDS = 0.2
log = logging.getLogger(__name__)


class TablesInUseError(RuntimeError):
    """Other transactions held a table during all tries of the migration."""


class SchemaNewerError(RuntimeError):
    """The database is of a later version: its revision is none of this version's."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the database is at revision {revision}, of a later version than this one. In a rolling upgrade there is nothing to "
            "do: API and workers of this version can use it as it is. Otherwise install the version that migrated it or a later one"
        )


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``; concurrent calls wait for each other, and the later ones find it done.

    On PostgreSQL API and workers may run: each migration is committed by itself and repeats what an interrupted one left
    (``migrations.online``). Raises SchemaNewerError, changing nothing, where a later version has migrated it, TablesInUseError when
    long transactions of others hold a table all the time.
    """
    for _ in range(_ATTEMPTS):
        try:
            with migrating(url) as connection:
                command.upgrade(_config(connection), revision)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            log.warning("a table is in use, the migration continues in %g s: %s", _PAUSE_SECONDS, error.orig)
            time.sleep(_PAUSE_SECONDS)
        except CommandError as error:
            if not isinstance(error.__cause__, ResolutionError) or error.__cause__.argument == revision:
                raise
            raise SchemaNewerError(error.__cause__.argument) from error
        else:
            return
    raise TablesInUseError(
        f"other transactions held a table that must change, in all {_ATTEMPTS} tries; see which ones in "
        "pg_stat_activity (xact_start), end them and run the migration again"
    )


def downgrade(url: str, revision: str) -> None:
    """Take the database at ``url`` back to ``revision`` (``base``: no tables), with all that it holds in them.

    In one transaction, so that a refusal changes nothing; API and workers must have been stopped.
    """
    with migrating(url) as connection, nullcontext() if connection.in_transaction() else connection.begin():
        command.downgrade(_config(connection), revision)


def is_current(database: Database) -> bool:
    """Whether this version can work with the schema: its own, or that of a later version, whose migrations leave room for it.

    Raises sqlalchemy.exc.OperationalError if unreachable.
    """
    with database.engine.connect() as connection:
        found = set(MigrationContext.configure(connection).get_current_heads())
    return found == _heads() or (bool(found) and found.isdisjoint(_known_revisions()))


@cache
def _heads() -> set[str]:
    return set(ScriptDirectory.from_config(_config()).get_heads())


@cache
def _known_revisions() -> set[str]:
    return {step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    """A connection to change tables on, under a lock that excludes other migrations of the database.

    On SQLite it is inside a transaction that commits in the end; on PostgreSQL its transactions are the caller's.
    """
    database = Database(url)
    locked = _sqlite_locked if database.engine.dialect.name == "sqlite" else _postgres_locked
    try:
        with database.engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection, locked(connection):
            yield connection
    finally:
        database.dispose()


@contextmanager
def _postgres_locked(connection: Connection) -> Iterator[None]:
    """Lock by an advisory lock that a second connection holds in an idle transaction, which a pooler keeps on one server
    connection.

    An index that is built concurrently waits for every snapshot older than itself. A statement that waits for the lock would
    have one, and each would wait for the other; so the lock is polled. A READ COMMITTED transaction that
    is idle has none, once another statement has closed the query before it.
    """
    event.listen(connection, "begin", _limit_lock_wait)
    with connection.engine.execution_options(isolation_level="READ COMMITTED").connect() as holder:
        while not holder.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({_MIGRATION_LOCK})").scalar_one():
            holder.rollback()
            time.sleep(_LOCK_POLL_SECONDS)
        holder.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield
        holder.rollback()


def _limit_lock_wait(connection: Connection) -> None:
    """Only within transactions: outside of them an index is built, which waits for other transactions and holds up none."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")


@contextmanager
def _sqlite_locked(connection: Connection) -> Iterator[None]:
    """Lock by a lock file: the switch to WAL, which is permanent, fails while other connections use the database."""
    with Path(f"{connection.engine.url.database}.migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # SQLite alters a table by copying and dropping it, and dropping a parent would delete its children
        for pragma in ("journal_mode = WAL", "foreign_keys = OFF"):
            connection.connection.cursor().execute(f"PRAGMA {pragma}")
        with connection.begin():
            yield
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                raise RuntimeError(f"the migration left rows that refer to nothing: {broken[:5]}")
