"""Garbage collection: files of ended jobs, jobs past their retention, objects without a row."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from service.db.clock import now_sql
from service.db.models import Job, MaintenanceTurn
from service.jobs import commands, turns
from service.jobs.turns import Turn
from service.states import Status
from tests import object_store, services
from tests.service import factories
from tests.worker.conftest import WorkerHarness
from worker.maintenance.garbage_collector import GarbageCollector

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_jobs_past_their_retention_are_deleted_with_their_objects(harness: WorkerHarness, storage_url: str, tmp_path: Path) -> None:
    database = harness.context.database
    job = factories.succeeded(database, tmp_path, storage_url=storage_url)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(finished_at=now_sql(-2 * 86_400)))
    assert len(object_store.objects(storage_url)) == 1
    changes = {"job_retention_days": 1, "storage_url": storage_url}
    harness.context.settings = harness.context.settings.model_copy(update=changes)
    collector = GarbageCollector(harness.context)
    collector.collect()
    with database.read() as session:
        assert session.get(Job, job.id) is None
    assert object_store.objects(storage_url) == {}


def test_an_unreachable_storage_is_only_logged(harness: WorkerHarness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    url = f"s3://b?endpoint=http://127.0.0.1:{services.free_port()}"
    harness.context.settings = harness.context.settings.model_copy(update={"storage_url": url})
    collector = GarbageCollector(harness.context)
    collector.collect()
    assert any(url in record.getMessage() for record in caplog.records if record.levelname == "WARNING")


def test_work_folders_of_ended_jobs_are_removed(harness: WorkerHarness) -> None:
    ended, waiting = harness.submit(), harness.submit()
    for job_id in (ended, waiting, "not-a-job"):
        harness.work_folder(job_id).mkdir(parents=True)
    with harness.context.database.write() as session:
        commands.request_cancel(session, ended)
    assert harness.job(ended).status is Status.CANCELLED
    GarbageCollector(harness.context).collect()
    assert not harness.work_folder(ended).exists()
    assert harness.work_folder(waiting).exists()
    assert harness.work_folder("not-a-job").exists()


def test_jobs_that_are_paused_for_long_lose_their_checkpoints(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    (harness.work_folder(job_id) / "checkpoints").mkdir(parents=True)
    with harness.context.database.write() as session:
        commands.request_pause(session, job_id)
    collector = GarbageCollector(harness.context)
    collector.collect()
    assert harness.work_folder(job_id).exists()
    with harness.context.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(updated_at=now_sql(-15 * 86_400)))
    collector.collect()  # cancels it; the next one finds its files
    collector.collect()
    assert harness.job(job_id).status is Status.CANCELLED
    assert not harness.work_folder(job_id).exists()


def test_rows_are_collected_by_one_worker_at_a_time(harness: WorkerHarness) -> None:
    with harness.context.database.write() as session:
        assert turns.take(session, Turn.COLLECTION, every_seconds=600)
    job_id = harness.submit()
    with harness.context.database.write() as session:
        commands.request_pause(session, job_id)
    with harness.context.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(updated_at=now_sql(-15 * 86_400)))
    GarbageCollector(harness.context).run_once()
    assert harness.job(job_id).status is Status.PAUSED
    with harness.context.database.write() as session:
        session.execute(delete(MaintenanceTurn))
    GarbageCollector(harness.context).run_once()
    assert harness.job(job_id).status is Status.CANCELLED
