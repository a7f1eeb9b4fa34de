"""Plans of PostgreSQL for the statements that many workers repeat: one range of an index, however long the queue is."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from service.db.engine import Database
from service.db.models.job import MANY_DEVICES
from service.jobs import claims, heartbeats, reaper
from service.jobs.fence import Fence
from tests.service import factories


def statement_and_plan(database: Database, run: Callable[[Session], object], statement: str) -> tuple[str, str]:
    """The first statement of ``run`` that ``statement`` matches, and what ``EXPLAIN`` says of it where no table is scanned."""
    found: list[tuple[str, Any]] = []

    def keep(_connection: object, _cursor: object, words: str, parameters: Any, *_: object) -> None:
        if re.search(statement, words, re.DOTALL):
            found.append((words, parameters))

    event.listen(database.engine, "before_cursor_execute", keep)
    with database.write() as session:
        run(session)
        session.rollback()
    event.remove(database.engine, "before_cursor_execute", keep)
    with database.engine.connect() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        words, parameters = found[0]
        return words, "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {words}", parameters))


@pytest.fixture
def database(empty_postgres: str) -> Database:
    database = Database(empty_postgres)
    for _ in range(3):
        factories.queued(database)
    with database.write() as session:
        heartbeats.record(session, worker_id="w", hostname="host", pid=1, slots=1)
    return database


def test_a_claim_reads_the_first_row_of_its_index(database: Database) -> None:
    words, plan = statement_and_plan(
        database, lambda session: claims.claim(session, worker_id="w", lease_seconds=60), "SKIP LOCKED"
    )
    assert "status = 'queued'" in words  # no parameter: the driver prepares it, and a plan for any status has no such index
    assert "Index Scan using ix_jobs_claim" in plan
    assert "Sort" not in plan


def test_jobs_for_many_devices_are_found_without_the_others(database: Database) -> None:
    words, plan = statement_and_plan(
        database, lambda session: reaper.report_unrunnable_jobs(session, worker_seen_seconds=60), "FROM jobs"
    )
    assert MANY_DEVICES in words
    assert "ix_jobs_many_devices" in plan


def test_heartbeats_and_steps_write_no_index(database: Database) -> None:
    """A column of theirs in any index would triple what each of them writes, on every worker, every few seconds."""
    counted = "SELECT pg_stat_get_xact_tuples_updated('jobs'::regclass), pg_stat_get_xact_tuples_hot_updated('jobs'::regclass)"
    job = factories.claim(database)
    assert job is not None
    fence = Fence.from_row(job)
    with database.write() as session:
        before = session.execute(text(counted)).one()
        claims.renew_lease(session, fence, lease_seconds=60)
        claims.set_phase(session, fence, "training")
        claims.record_step(session, fence, step=1, total_steps=9, eta_seconds=1.0, values={"loss": 1.0})
        claims.record_event(session, fence, "log", {})
        after = session.execute(text(counted)).one()
        (options,) = session.execute(text("SELECT reloptions FROM pg_class WHERE oid = 'jobs'::regclass")).one()
    assert [now - then for now, then in zip(after, before, strict=True)] == [4, 4]
    assert "fillfactor=70" in options
