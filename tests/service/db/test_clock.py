"""The database's clock: its resolution, its order, its timezone."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import literal, select
from sqlalchemy.exc import StatementError

from service.db.clock import UtcDateTime, now_sql
from service.db.engine import Database
from service.jobs import queries
from tests.service import factories
from tests.service.factories import db_now


def test_the_clock_is_the_databases_with_fractions_of_seconds(database: Database) -> None:
    with database.read() as session:
        readings = [db_now(session) for _ in range(50)]
        later = session.execute(select(now_sql(90.25))).scalar_one() - readings[-1]
        earlier = session.execute(select(now_sql(-90.25))).scalar_one() - readings[-1]
    assert readings == sorted(readings)
    assert any(reading.microsecond for reading in readings)
    assert all(reading.tzinfo is UTC for reading in readings)
    assert abs(readings[-1] - datetime.now(UTC)) < timedelta(seconds=5)
    assert timedelta(seconds=90) < later < timedelta(seconds=91)
    assert timedelta(seconds=-91) < earlier < timedelta(seconds=-90)


def test_times_compare_as_times(database: Database) -> None:
    """Written by Python with six digits, by SQLite's clock with three: as text they must still sort."""
    moment = datetime(2026, 1, 31, 9, 30, 0, 250_000, tzinfo=UTC)
    pairs = [(moment, moment + timedelta(microseconds=1)), (moment.replace(microsecond=0), moment)]
    with database.read() as session:
        for one, other in pairs:
            assert session.execute(select(literal(one, UtcDateTime()) < literal(other, UtcDateTime()))).scalar_one()
            assert session.execute(select(literal(other, UtcDateTime()) < now_sql())).scalar_one()


def test_times_are_stored_as_utc_and_need_a_timezone(database: Database) -> None:
    job_id = factories.queued(database)
    there = datetime(2026, 1, 31, 11, 30, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as session:
        queries.get(session, job_id).started_at = there
    assert factories.load(database, job_id).started_at == there
    assert factories.load(database, job_id).started_at.tzinfo is UTC  # type: ignore[union-attr]
    with pytest.raises(StatementError, match="timezone"), database.write() as session:
        queries.get(session, job_id).started_at = datetime(2026, 1, 31)
