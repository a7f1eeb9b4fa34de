"""Statistics stay right while the sums of ended jobs are remembered."""

import pytest
from sqlalchemy import update

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


def test_stored_bytes_are_those_of_the_quotas(database: Database, reader: StatisticsReader) -> None:
    end_job(database, seconds_ago=1000)
    end_job(database)
    with database.read() as session:
        assert sum(reader.read().stored_bytes.values()) == stored_bytes(session) > 0
