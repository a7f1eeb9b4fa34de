"""Retention on the database's clock: recent jobs, masks and jobs that have not ended stay."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from service.artifacts import store
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job
from service.jobs import commands
from service.operations import retention
from service.settings import Settings
from service.states import Status
from tests.service import factories

_DAY = 86_400


def age(database: Database, job_id: str, days: float) -> None:
    """As if it had ended that long ago."""
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(finished_at=now_sql(-days * _DAY)))


def left(database: Database) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Job.id)))


def expire(database: Database, settings: Settings, *, leaving: bool = False) -> tuple[int, int]:
    return retention.expire(database, settings, lambda: leaving)


def test_old_jobs_are_deleted_batch_by_batch(
    database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_BATCH", 2)
    old = [factories.succeeded(database, tmp_path).id, *(factories.cancelled(database).id for _ in range(3))]
    young, waiting = factories.failed(database).id, factories.queued(database)
    for job_id in old:
        age(database, job_id, 7.01)
    age(database, young, 6.99)
    assert expire(database, settings) == (0, 0)  # for ever is the default
    week = settings.model_copy(update={"job_retention_days": 7})
    assert expire(database, week, leaving=True) == (0, 0)
    assert expire(database, week) == (4, 0)
    assert left(database) == {young, waiting}


def test_old_artifacts_are_deleted_except_for_the_mask(database: Database, settings: Settings, tmp_path: Path) -> None:
    job = factories.succeeded(database, tmp_path, reports=["report.html", "report.json"])
    running = factories.running(database)
    factories.store_file(database, running, tmp_path / "file", b"x")
    month = settings.model_copy(update={"artifact_retention_days": 30})
    age(database, job.id, 29.9)
    assert expire(database, month) == (0, 0)
    age(database, job.id, 30.1)
    assert expire(database, month) == (0, 2)
    with database.read() as session:
        assert [artifact.name for artifact in store.list_for_job(session, job.id)] == [factories.MASK]
        assert len(store.list_for_job(session, running.id)) == 1
    assert left(database) == {job.id, running.id}


def test_jobs_that_are_paused_for_long_are_cancelled(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH", 2)
    ids = [factories.queued(database) for _ in range(4)]
    *forgotten, young = ids
    with database.write() as session:
        for job_id in ids:
            commands.request_pause(session, job_id)
        waiting = commands.create(session, spec=factories.SPEC).id
        for job_id in (*forgotten, waiting):
            session.execute(update(Job).where(Job.id == job_id).values(updated_at=now_sql(-14.01 * _DAY)))
    assert retention.cancel_paused(database, 14, lambda: True) == 0
    assert retention.cancel_paused(database, 14, lambda: False) == 3
    assert retention.cancel_paused(database, 14, lambda: False) == 0
    for job_id in forgotten:
        assert factories.load(database, job_id).status is Status.CANCELLED
        last = factories.recorded_events(database, job_id)[-1]
        assert (last[0], last[1]["reason"]) == ("status", "paused_too_long")
    assert factories.load(database, young).status is Status.PAUSED
    assert factories.load(database, waiting).status is Status.QUEUED
