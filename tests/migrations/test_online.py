"""Migrations of a PostgreSQL database that is in use: no query waits for them, and an interrupted one can be run again."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from service.db import migrate
from service.db.engine import Database
from service.db.migrate import is_current, upgrade
from service.db.models import Base
from service.jobs import list_columns
from tests import poolers, services
from tests.conftest import or_skip
from tests.waiting import wait_until

pytestmark = pytest.mark.services
_ROWS = 20_000
_FILL = """
INSERT INTO jobs (id, status, spec, metadata, priority, attempt, attempts_spent, not_before, step, metrics, event_seq,
                  created_at, updated_at)
SELECT 'job_' || lpad(n::text, 26, '0'), 'queued', '{"model": "acme/tiny", "task": "sst2", "method": "smp-s"}', '{}', 0, 0, 0,
       now(), 0, '{}', 1, now(), now()
FROM generate_series(%s::int, %s::int) AS n
"""
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


@pytest.fixture
def url() -> Iterator[str]:
    """A database of its own at revision 0011, with many jobs."""
    with ExitStack() as stack:
        url = stack.enter_context(contextmanager(or_skip)(services.postgres))
        upgrade(url, "0011")
        with psycopg.connect(url) as connection:
            connection.execute(_FILL, (1, _ROWS))
        yield url


@pytest.fixture
def plain(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of another client, whose every statement commits and waits for no lock longer than a second."""
    with psycopg.connect(url, autocommit=True, options="-c lock_timeout=1s") as connection:
        yield connection


@contextmanager
def old_snapshot(url: str) -> Iterator[None]:
    """A transaction that has read, no table of ours: an index that is built concurrently waits for its end."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1")
        yield


def begin_upgrade(url: str) -> Future[None]:
    """An upgrade to the latest revision, in the background."""
    return ThreadPoolExecutor(1).submit(upgrade, url)


def building(connection: psycopg.Connection[Any]) -> int | None:
    """The server process that waits for others while it builds an index."""
    row = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
    ).fetchone()
    return row[0] if row else None


def one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def test_heartbeats_and_submissions_go_on_while_the_migration_runs(url: str, plain: psycopg.Connection[Any]) -> None:
    with old_snapshot(url):
        migration = begin_upgrade(url)
        beats = 0
        while building(plain) is None:  # columns are added and filled meanwhile
            plain.execute("UPDATE jobs SET updated_at = now() WHERE id = 'job_' || lpad('7', 26, '0')")
            beats += 1
        plain.execute("UPDATE jobs SET updated_at = now() WHERE id = 'job_' || lpad('8', 26, '0')")
        plain.execute(_FILL, (_ROWS + 1, _ROWS + 1))  # as the API of the version before does
        assert beats > 0
        assert one(plain, "SELECT version_num FROM alembic_version") == "0011"
        assert not migration.done()
    migration.result()
    database = Database(url)
    assert is_current(database)
    assert one(plain, "SELECT count(*) FROM jobs WHERE method IS NULL") <= 2  # the one just made, one that was held
    with database.write() as session:
        assert list_columns.fill_list_columns(session) >= 1
    assert one(plain, "SELECT count(*) FROM jobs WHERE method = 'smp-s' AND model = 'acme/tiny'") == _ROWS + 1
    database.dispose()


_WAITERS = """
SELECT waiting.query, blocker.query
FROM pg_stat_activity AS waiting
CROSS JOIN unnest(pg_blocking_pids(waiting.pid)) AS pid
JOIN pg_stat_activity AS blocker ON blocker.pid = pid.pid
WHERE waiting.datname = current_database() AND waiting.query LIKE '%INSERT INTO jobs%'
"""
_MODES = "SELECT DISTINCT mode FROM pg_locks WHERE pid = %s AND relation = 'jobs'::regclass AND granted"


def test_no_insert_waits_for_an_index_that_is_built(url: str, plain: psycopg.Connection[Any]) -> None:
    """By the locks, not by the time: a build that stopped writers would hold SHARE, and be what they wait for."""
    stopping = threading.Event()

    def write() -> int:
        with psycopg.connect(url, autocommit=True) as writer:
            for number in itertools.count(_ROWS + 1):
                if stopping.is_set():
                    return number - _ROWS - 1
                writer.execute(_FILL, (number, number))
        raise AssertionError("unreachable")

    with ThreadPoolExecutor(1) as threads, old_snapshot(url):  # which the build waits for, so that it is seen at work
        writing = threads.submit(write)
        migration = begin_upgrade(url)
        behind_build: list[tuple[str, str]] = []
        modes: list[set[str]] = []

        def look() -> bool:
            behind_build.extend(row for row in plain.execute(_WAITERS) if "INDEX" in row[1])
            if (pid := building(plain)) is not None:
                modes.append({row[0] for row in plain.execute(_MODES, (pid,))})
            return len(modes) >= 50 or bool(behind_build) or migration.done() or writing.done()

        try:
            wait_until(look, what="an index being built")
        finally:
            stopping.set()
        assert writing.result() > 0
    migration.result()
    assert behind_build == []
    assert set.union(*modes) == {"ShareUpdateExclusiveLock"}


def test_an_interrupted_migration_is_run_again(url: str, plain: psycopg.Connection[Any]) -> None:
    with old_snapshot(url):
        migration = begin_upgrade(url)
        wait_until(lambda: building(plain) is not None, what="index being built")
        plain.execute("SELECT pg_terminate_backend(%s)", (building(plain),))
        assert isinstance(migration.exception(), OperationalError)
    assert one(plain, _INVALID).startswith("ix_jobs_")
    upgrade(url)
    assert plain.execute(_INVALID).fetchone() is None
    database = Database(url)
    assert is_current(database)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    database.dispose()


def test_a_table_in_use_is_asked_for_again_and_not_waited_for(
    url: str, plain: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_ATTEMPTS", 2)
    monkeypatch.setattr(migrate, "_PAUSE_SECONDS", 0)
    monkeypatch.setattr(migrate, "_LOCK_SECONDS", 0.1)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE jobs IN ROW SHARE MODE")
        with pytest.raises(migrate.TablesInUseError, match="pg_stat_activity"):
            upgrade(url)
    assert one(plain, "SELECT version_num FROM alembic_version") == "0011"
    upgrade(url)
    assert one(plain, "SELECT version_num FROM alembic_version") != "0011"


def test_a_pooler_that_gives_each_transaction_another_connection(url: str) -> None:
    with contextmanager(or_skip)(partial(poolers.pgbouncer, url)) as pooled:
        upgrade(make_url(pooled).update_query_dict({"pooler": "transaction"}).render_as_string(hide_password=False))
    database = Database(url)
    assert is_current(database)
    database.dispose()
