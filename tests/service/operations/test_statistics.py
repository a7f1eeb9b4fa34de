"""Statistics stay right while the sums of ended jobs are remembered."""

from typing import Any

import pytest
from sqlalchemy import event, text, update

from service.access.quotas import stored_bytes
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job
from service.operations.statistics import StatisticsReader
from service.states import Status
from tests.service import factories


def end_job(database: Database, *, seconds_ago: float = 0.0) -> str:
    job = factories.failed(database)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(finished_at=now_sql(-seconds_ago)))
    return job.id


@pytest.fixture
def reader(database: Database) -> StatisticsReader:
    return StatisticsReader(database, worker_seen_seconds=30)


def test_a_job_is_counted_once_whenever_it_ended(database: Database, reader: StatisticsReader) -> None:
    end_job(database, seconds_ago=1000)
    end_job(database)
    for ended in (2, 3, 4):
        found = reader.read()
        assert (found.jobs[Status.FAILED], found.attempts, found.durations[Status.FAILED].count) == (ended, ended, ended)
        end_job(database)


def test_jobs_that_ended_long_ago_are_remembered(database: Database, reader: StatisticsReader) -> None:
    old = end_job(database, seconds_ago=1000)
    reader.read()
    with database.write() as session:
        session.execute(update(Job).where(Job.id == old).values(attempt=5))
    assert reader.read().attempts == 1
    assert StatisticsReader(database, worker_seen_seconds=30).read().attempts == 5


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_scrape_reads_the_jobs_by_indexes(database: Database, reader: StatisticsReader) -> None:
    reader.read()
    asked: list[tuple[str, Any]] = []
    event.listen(database.engine, "before_cursor_execute", lambda _c, _u, statement, values, *_: asked.append((statement, values)))
    reader.read()
    (counted, values), *_ = (query for query in asked if "GROUP BY jobs.status" in query[0])
    with database.read() as session:
        for other in ("seqscan", "indexscan", "indexonlyscan"):  # as the planner does by itself once there are many jobs
            session.execute(text(f"SET LOCAL enable_{other} = off"))
        plan = session.connection().exec_driver_sql(f"EXPLAIN {counted}", values).scalars().all()
    assert [line for line in plan if "BitmapOr" in line], plan


def test_stored_bytes_are_those_of_the_quotas(database: Database, reader: StatisticsReader) -> None:
    end_job(database, seconds_ago=1000)
    end_job(database)
    with database.read() as session:
        assert sum(reader.read().stored_bytes.values()) == stored_bytes(session) > 0
