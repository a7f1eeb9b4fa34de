"""Constraints of the tables against raw SQL, on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from service.db.engine import Database
from service.db.models import ArtifactChunk, Event, Job
from service.ids import new_job_id
from tests.service import factories

_NOW = "2026-01-31 09:30:00.000000+00:00"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("status = 'exploded'", "status_known"),
        ("status = 'running'", "lease_when_running"),
        (f"lease_expires_at = '{_NOW}'", "lease_when_running"),
        ("status = 'cancelled'", "finished_when_terminal"),
        (f"finished_at = '{_NOW}'", "finished_when_terminal"),
        (f"status = 'succeeded', finished_at = '{_NOW}'", "mask_when_succeeded"),
        (f"status = 'failed', finished_at = '{_NOW}'", "error_when_failed"),
        (f"cancel_requested_at = '{_NOW}'", "cancel_wish_honoured"),
        (f"pause_requested_at = '{_NOW}'", "pause_wish_honoured"),
        ("attempt = -1", "attempts_counted"),
        ("attempts_spent = 1", "attempts_counted"),
        ("step = -1", "counters_positive"),
    ],
)
def test_a_queued_job_cannot_become_inconsistent(database: Database, change: str, constraint: str) -> None:
    factories.queued(database)
    with pytest.raises(IntegrityError, match=constraint), database.write() as session:
        session.execute(text(f"UPDATE jobs SET {change}"))


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("status = 'queued'", "lease_when_running"),
        ("lease_expires_at = NULL", "lease_when_running"),
        (f"status = 'succeeded', lease_expires_at = NULL, finished_at = '{_NOW}'", "mask_when_succeeded"),
    ],
)
def test_a_running_job_cannot_become_inconsistent(database: Database, change: str, constraint: str) -> None:
    factories.running(database)
    with pytest.raises(IntegrityError, match=constraint), database.write() as session:
        session.execute(text(f"UPDATE jobs SET {change}"))


@pytest.mark.parametrize(
    "change", ["status = 'queued'", "finished_at = NULL", "mask_artifact_id = NULL", "mask_artifact_id = 999999"]
)
def test_a_success_keeps_its_end_and_its_mask(database: Database, tmp_path: Path, change: str) -> None:
    factories.succeeded(database, tmp_path)
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text(f"UPDATE jobs SET {change}"))


def test_the_mask_of_a_success_cannot_be_deleted_alone(database: Database, tmp_path: Path) -> None:
    factories.succeeded(database, tmp_path)
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("DELETE FROM artifacts"))


@pytest.mark.parametrize(
    "row",
    [
        f"INSERT INTO events (job_id, seq, attempt, type, data, created_at) VALUES ('no', 1, 0, 'x', '{{}}', '{_NOW}')",
        "INSERT INTO chunks (artifact_id, number, data) VALUES (999999, 0, '')",
    ],
)
def test_rows_of_an_unknown_job_are_refused(database: Database, row: str) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text(row))


def test_an_event_number_is_used_once(database: Database) -> None:
    job_id = factories.queued(database)
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Event(job_id=job_id, seq=1, attempt=0, type="log", data={}))


def test_deleting_a_job_deletes_all_its_rows(database: Database, tmp_path: Path) -> None:
    job = factories.succeeded(database, tmp_path)
    with database.write() as session:
        session.execute(text("DELETE FROM jobs WHERE id = :id"), {"id": job.id})
    with database.read() as session:
        for table in ("events", "metrics", "artifacts", "chunks"):
            assert session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table


def test_json_is_kept_in_order_and_nan_is_refused(database: Database) -> None:
    spec = {"zebra": 1, "ant": {"ü": [1.5, None, "\u0000"]}}
    job_id = factories.queued(database, spec=spec)
    assert list(factories.load(database, job_id).spec.items()) == list(spec.items())
    with pytest.raises((StatementError, ValueError), match="not JSON compliant"):
        factories.queued(database, spec={"loss": float("nan")})


def test_bytes_are_read_as_they_were_stored(database: Database, tmp_path: Path) -> None:
    data = bytes(range(256))
    factories.store_file(database, factories.running(database), tmp_path / "file", data)
    with database.read() as session:
        assert session.query(ArtifactChunk).one().data == data


def test_a_read_transaction_cannot_write(database: Database) -> None:
    job_id = factories.queued(database)
    with pytest.raises(DBAPIError), database.read() as session:
        session.execute(update(Job).values(priority=7))
    assert factories.load(database, job_id).priority == 0


def test_ids_sort_by_creation_time() -> None:
    ids = [new_job_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert {len(job_id) for job_id in ids} == {30}
    assert [job_id[:14] for job_id in ids] == sorted(job_id[:14] for job_id in ids)  # job_ and 10 digits of time
