"""Transactions and clocks of both databases."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import literal, select, text
from sqlalchemy.exc import OperationalError, StatementError

from service.db import engine
from service.db.clock import UtcDateTime, now_sql
from service.db.engine import Database, is_current
from service.db.models import Job
from service.jobs import commands
from tests.service import factories
from tests.service.factories import db_now


def test_write_commits_at_the_end_and_rolls_back_on_an_exception(database: Database) -> None:
    kept = factories.queued(database)

    def delete_and_fail() -> None:
        with database.write() as session:
            session.execute(text("DELETE FROM jobs"))
            raise OSError("after the deletion")

    with pytest.raises(OSError, match="after the deletion"):
        delete_and_fail()
    assert factories.load(database, kept).id == kept


def test_a_read_sees_one_moment(database: Database) -> None:
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0
        factories.queued(database)
        assert session.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 0


def test_the_clock_is_the_databases_and_counts_parts_of_seconds(database: Database) -> None:
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
        commands.get(session, job_id).started_at = there
    assert factories.load(database, job_id).started_at == there
    assert factories.load(database, job_id).started_at.tzinfo is UTC  # type: ignore[union-attr]
    with pytest.raises(StatementError, match="has no timezone"), database.write() as session:
        commands.get(session, job_id).started_at = datetime(2026, 1, 31)


def test_sqlite_is_set_up_to_be_shared_and_durable(migrated_sqlite: Path) -> None:
    database = Database(f"sqlite:///{migrated_sqlite}")
    with database.read() as session:
        found = {
            name: session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "synchronous")
        }
        timeout = session.execute(text("PRAGMA busy_timeout")).scalar_one()
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}
    assert timeout >= 10_000
    database.dispose()


def test_a_folder_is_made_for_sqlite(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/some/where/espalier.db")
    assert not is_current(database)
    assert (tmp_path / "some" / "where").is_dir()
    database.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_frozen_process_does_not_hold_its_locks_for_ever(database: Database) -> None:
    with database.read() as session:
        assert session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "30s"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_writer_waits_for_its_turn_but_not_for_ever(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_BUSY_MILLISECONDS", 1)
    with database.write(), pytest.raises(OperationalError, match="other threads"), database.write():
        pass
    with database.write() as session:
        session.execute(select(now_sql()))


def test_a_look_leaves_no_trace_in_the_connection(database: Database) -> None:
    """On PostgreSQL it is made without a transaction; what follows on the same connection has one again."""
    kept = factories.queued(database)
    with database.read_connection() as connection:
        assert connection.execute(select(Job.id)).scalar_one() == kept
    with contextlib.suppress(OSError), database.write() as session:
        session.execute(text("DELETE FROM jobs"))
        raise OSError
    with database.read_connection() as connection:
        assert connection.execute(select(Job.id)).scalar_one() == kept
