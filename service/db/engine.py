"""One way to the database for every process: short read and write transactions, and the migration to the current schema.

A transaction belongs to the caller: ``with database.write() as session`` commits where the block ends, and nothing below
it ever does.
"""

import fcntl
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.urls import normalize_database_url

_BUSY_MILLISECONDS = 20_000  # every write transaction here is short; longer means that something is stuck
_NO_DEAD_PEERS = {
    # a worker frozen inside a transaction holds its job's row, which no rescuer could then take from it
    "options": "-c idle_in_transaction_session_timeout=30s",
    # a server that is gone without a word: the system's own limit is a quarter of an hour
    "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000,
}  # fmt: skip
_dumps: Callable[[Any], str] = partial(json.dumps, allow_nan=False)  # NaN is not JSON; PostgreSQL would refuse it
_MIGRATION_LOCK = 0x657370616C  # any number that no other user of the same PostgreSQL takes ("espal")


class Database:
    """An engine for ``url`` (postgresql://… or sqlite:///file) with the two kinds of transaction.

    Made once per process and after any fork; threads share it. Makes the folder of a SQLite file. Raises ValueError for a
    database that is not supported.
    """

    def __init__(self, url: str) -> None:
        self.url = normalize_database_url(url)
        self.engine = _engine(self.url)
        self._writing = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        self._reading = self._looking = self.engine
        self._turn = threading.Lock()
        if self.engine.dialect.name == "postgresql":
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._looking = _prompt_engine(self.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent look: all queries see the same moment, and the database refuses changes."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def read_connection(self) -> Iterator[Connection]:
        """For one query of plain rows, which is a moment of its own: no session, and on PostgreSQL no transaction either, for
        both would cost more than the query. There it has connections of its own, and ends in an OperationalError after
        some seconds if the server says nothing: many requests wait for one look."""
        with self._looking.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block and rolls back on an exception.

        SQLite takes its single write lock at the start: a read transaction that becomes a writer fails at once instead
        of waiting. Opening a second one inside the block therefore waits for itself, in vain.
        """
        with self._in_turn(), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """SQLite lets writers in by chance, and who has no luck waits for seconds; the threads of one process line up."""
        if self.engine.dialect.name != "sqlite":
            yield
            return
        if not self._turn.acquire(timeout=_BUSY_MILLISECONDS / 1000):
            raise OperationalError("BEGIN IMMEDIATE", None, TimeoutError("other threads of this process still write"))
        try:
            yield
        finally:
            self._turn.release()

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()
        self._looking.dispose()


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``; a second process that does the same waits and finds it done."""
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
    """A connection to change tables on: one transaction, with every other migration of the same database kept out."""
    database = Database(url)
    kept_out = _alone_on_sqlite if database.engine.dialect.name == "sqlite" else _alone_on_postgresql
    try:
        with database.engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection, kept_out(connection):
            yield connection
    finally:
        database.dispose()


@contextmanager
def _alone_on_postgresql(connection: Connection) -> Iterator[None]:
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        yield


@contextmanager
def _alone_on_sqlite(connection: Connection) -> Iterator[None]:
    """Holds a lock file, for the switch to WAL fails while others use the database; it lasts for good."""
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


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return _postgres_engine(url)
    Path(make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, json_serializer=_dumps, pool_size=10, max_overflow=20)
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _postgres_engine(url: str, pool_size: int = 10, **connect: Any) -> Engine:
    return create_engine(
        url,
        json_serializer=_dumps,
        pool_pre_ping=True,  # a restarted database costs one round trip, not one failed request per connection
        pool_size=pool_size,
        max_overflow=20,
        connect_args={"connect_timeout": 5, "application_name": "espalier", **_NO_DEAD_PEERS, **connect},
    )


def _prompt_engine(url: str) -> Engine:
    """For looks: a connection that is dead or a server that is stuck is found out soon, by either side."""
    from service.db.read_timeout import READ_TIMEOUT_SECONDS, TimeoutConnection

    options = f"-c statement_timeout={int(READ_TIMEOUT_SECONDS * 1000)}"
    engine = _postgres_engine(url, pool_size=2, options=options, connect_timeout=2)

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> Any:
        return TimeoutConnection.connect(*arguments, **options)

    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _sqlite_connected(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # Python's driver begins transactions too late; _sqlite_begin does it
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")  # a job that was accepted is still there after a power cut
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    reads = kind == "DEFERRED"
    if connection.info.get("query_only") is not reads:  # not each time: SQLite then plans every statement anew
        connection.exec_driver_sql(f"PRAGMA query_only = {reads:d}")
        connection.info["query_only"] = reads
    connection.exec_driver_sql(f"BEGIN {kind}")
