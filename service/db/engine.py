"""Database engine: connections to PostgreSQL or SQLite, with short read and write transactions.

Every process has one ``Database``. A transaction belongs to the caller: ``with database.write() as session`` commits where the
block ends, and no function that takes a session commits.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from service.db.pool import TimedPool
from service.urls import normalize_database_url

DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, PoolTimeoutError)
"""Exceptions of a database that is unreachable, restarting or overloaded; worth another try."""
_BUSY_MILLISECONDS = 20_000  # every write transaction here is short; a longer one is stuck
_IDLE_LIMIT = "idle_in_transaction_session_timeout"
"""A worker frozen inside a transaction holds its job's row lock, and the reaper could not requeue the job."""
_IDLE_SECONDS = "30s"
_POOL_SIZE = 10
MAX_OVERFLOW = 20
"""Connections of a pool beyond its size, which are closed after use."""
_POSTGRES_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": "espalier",
    # a server that vanished without closing: the system's own limit is a quarter of an hour
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""Connection parameters of libpq; each gives way to the same one in the URL."""
_to_json: Callable[[Any], str] = partial(json.dumps, allow_nan=False)  # NaN is not JSON; PostgreSQL would refuse it


class Database:
    """An engine for ``url`` (postgresql://… or sqlite:///file) with its kinds of transaction.

    Made once per process and after any fork; threads share it. Makes the folder of a SQLite file. Raises ValueError for a
    database that is not supported.
    """

    def __init__(self, url: str) -> None:
        self.url = normalize_database_url(url)
        self.engine = _create_engine(self.url)
        self._write_engine = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        self._read_engine = self._single_read_engine = self.engine
        self._sqlite_write_lock = threading.Lock()
        if self.engine.dialect.name == "postgresql":
            self._read_engine = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._single_read_engine = _single_read_engine(self.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One snapshot: all queries see the same moment, and the database refuses changes."""
        with Session(self._read_engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def read_connection(self) -> Iterator[Connection]:
        """A connection for one query of plain rows, which is a snapshot of its own.

        No session, and on PostgreSQL no transaction either, for both would cost more than the query. There it also has a
        read timeout and a connection pool of its own, and raises OperationalError when the server sends nothing for some
        seconds, because many requests wait for one such query (``api.request.query_batcher``).
        """
        with self._single_read_engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block and rolls back on an exception.

        SQLite takes its single write lock at the start: a read transaction that becomes a writer fails at once instead
        of waiting. Opening a second one inside the block therefore deadlocks until the lock times out.
        """
        with self._write_turn(), Session(self._write_engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _write_turn(self) -> Iterator[None]:
        """SQLite has no fair write lock: a process-wide lock serialises writers, which bounds their tail latency."""
        if self.engine.dialect.name != "sqlite":
            yield
            return
        if not self._sqlite_write_lock.acquire(timeout=_BUSY_MILLISECONDS / 1000):
            raise OperationalError("BEGIN IMMEDIATE", None, TimeoutError("other threads of this process still write"))
        try:
            yield
        finally:
            self._sqlite_write_lock.release()

    def pools(self) -> dict[str, TimedPool]:
        """The connection pools by name: ``transactions`` and, on PostgreSQL, that of ``read_connection``, ``single_reads``."""
        engines = {"single_reads": self._single_read_engine, "transactions": self.engine}
        found = {engine.pool: name for name, engine in engines.items()}  # on SQLite both are the same, named by the last
        return {name: pool for pool, name in found.items() if isinstance(pool, TimedPool)}

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()
        self._single_read_engine.dispose()


def _create_engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return _postgres_engine(url)
    _create_private_file(Path(make_url(url).database or ""))
    engine = create_engine(
        url, json_serializer=_to_json, hide_parameters=True, poolclass=TimedPool, pool_size=_POOL_SIZE, max_overflow=MAX_OVERFLOW
    )
    event.listen(engine, "connect", _sqlite_connected)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _create_private_file(path: Path) -> None:
    """Create the database file, empty, in a folder of its own, both readable by their owner alone, because rows of all owners are

    stored there. SQLite gives its side files the same mode. Existing files and folders keep their mode.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _postgres_engine(url: str, pool_size: int = _POOL_SIZE, **defaults: Any) -> Engine:
    address, pooled = split_pooler(make_url(url))
    engine = create_engine(
        address,
        json_serializer=_to_json,
        hide_parameters=True,  # errors are logged, and parameters hold data of users
        pool_pre_ping=True,  # a restarted database costs one round trip, not one failed request per connection
        poolclass=TimedPool,
        pool_size=pool_size,
        max_overflow=MAX_OVERFLOW,
        connect_args=_connect_args(address, pooled=pooled, **defaults),
    )
    if pooled:
        event.listen(engine, "begin", _limit_idle_transaction)
    return engine


def split_pooler(url: URL) -> tuple[URL, bool]:
    """``url`` in the driver's form, and whether it names a pooler (``pooler=transaction``, ``service.urls``)."""
    return url.difference_update_query(["pooler"]), "pooler" in url.query


def _connect_args(address: URL, *, pooled: bool, options: str = "", **defaults: Any) -> dict[str, Any]:
    """Parameters of every connection. Parameters of the URL take precedence, its ``options`` setting by setting."""
    given = {**_POSTGRES_DEFAULTS, **defaults}
    arguments = {name: value for name, value in given.items() if name not in address.query}
    if pooled:  # a server connection is given to another client between transactions: no prepared statements, no session settings
        return arguments | {"prepare_threshold": None}
    own = f"-c {_IDLE_LIMIT}={_IDLE_SECONDS} {options}".strip()
    theirs = address.query.get("options", "")
    return arguments | {"options": f"{own} {theirs if isinstance(theirs, str) else ' '.join(theirs)}".strip()}


def _limit_idle_transaction(connection: Connection) -> None:
    """Behind a pooler the limit belongs to the transaction: startup options are refused or shared with other clients."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"SET LOCAL {_IDLE_LIMIT} = '{_IDLE_SECONDS}'")


def _single_read_engine(url: str) -> Engine:
    """Autocommit connections to PostgreSQL on which either side detects an unresponsive peer within seconds."""
    from service.db.read_timeout import READ_TIMEOUT_SECONDS, TimeoutConnection  # imports psycopg: 0.1 s

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
    read_only = kind == "DEFERRED"
    if connection.info.get("query_only") is not read_only:  # not each time: SQLite then plans every statement again
        connection.exec_driver_sql(f"PRAGMA query_only = {read_only:d}")
        connection.info["query_only"] = read_only
    connection.exec_driver_sql(f"BEGIN {kind}")
