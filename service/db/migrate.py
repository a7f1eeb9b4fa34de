"""Database migrations (Alembic): upgrade, downgrade, and whether the schema is current.

Called by ``python -m migrations``, the command line and the readiness probe; Alembic's environment in ``migrations/env.py``
takes its connection from here.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from service.db.engine import Database

_MIGRATION_LOCK = 0x657370616C  # any number that no other user of the same PostgreSQL takes ("espal")


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``; concurrent calls wait for each other, and the later ones find it done."""
    with migrating(url) as connection:
        command.upgrade(_config(connection), revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database at ``url`` back to ``revision`` (``base``: no tables), with all that it holds in them."""
    with migrating(url) as connection:
        command.downgrade(_config(connection), revision)


def is_current(database: Database) -> bool:
    """Whether the schema is the one this version expects. Raises sqlalchemy.exc.OperationalError if unreachable."""
    with database.engine.connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads()) == _heads()


@cache
def _heads() -> set[str]:
    return set(ScriptDirectory.from_config(_config()).get_heads())


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    """A connection to change tables on: one transaction, under a lock that excludes other migrations of the database."""
    database = Database(url)
    locked = _sqlite_locked if database.engine.dialect.name == "sqlite" else _postgres_locked
    try:
        with database.engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection, locked(connection):
            yield connection
    finally:
        database.dispose()


@contextmanager
def _postgres_locked(connection: Connection) -> Iterator[None]:
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        yield


@contextmanager
def _sqlite_locked(connection: Connection) -> Iterator[None]:
    """By a lock file: the switch to WAL, which is permanent, fails while other connections use the database."""
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
