"""Exports of a mask in an object storage: read in parts, retried, and a clear failure when it is missing."""

from pathlib import Path

import pytest
from sqlalchemy import update

from service.artifacts import s3 as bucket_module
from service.artifacts.s3 import READ_BYTES, Bucket, open_bucket
from service.db.models import StoredObject
from service.jobs import claims, commands, exports
from service.jobs.fence import Fence
from service.states import Status
from tests import object_store, services
from tests.service import factories
from tests.waiting import FakeClock, wait_until
from tests.worker.conftest import WorkerHarness
from tests.worker.run.test_checkpoint_sync import on_host
from worker.run.outcome import Failed, Outcome

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LARGE = b"weights" * (READ_BYTES // 7 + 1000)
"""Of a little more than what is read at a time."""


@pytest.fixture
def host(harness: WorkerHarness, storage_url: str) -> WorkerHarness:
    """A worker that keeps artifacts in an object storage."""
    return on_host(harness, storage_url, "here")


@pytest.fixture
def export(host: WorkerHarness, storage_url: str, tmp_path: Path) -> str:
    """A job that is to export a mask with weights, which are there."""
    database = host.context.database
    job = factories.running(database)
    factories.store_file(database, job, tmp_path / "w", LARGE, name="weights.safetensors", storage_url=storage_url)
    mask = factories.store_file(database, job, tmp_path / "m", b"mask", storage_url=storage_url)
    with database.write() as session:
        claims.succeed(session, Fence.from_row(job), result={"weights_changed": True}, mask_artifact_id=mask)
        return exports.request_export(session, job.id, {"csr": "export-csr.zip"}).id


def move(host: WorkerHarness, storage_url: str) -> None:
    """Let artifacts be looked for there."""
    with host.context.database.write() as session:
        session.execute(update(StoredObject).values(storage=storage_url))


def away() -> str:
    """A storage that refuses connections."""
    return f"s3://b?endpoint=http://127.0.0.1:{services.free_port()}"


def test_mask_and_weights_are_read_in_parts(
    host: WorkerHarness, export: str, storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    real = Bucket.get

    def get(self: Bucket, name: str, start: int, stop: int) -> bytes:
        asked.append(stop - start)
        return real(self, name, start, stop)

    monkeypatch.setattr(Bucket, "get", get)
    assert host.run(host.claim(), "exports") is Outcome.SUCCEEDED
    assert asked == [len(b"mask"), READ_BYTES, len(LARGE) - READ_BYTES]
    assert set(host.artifacts(export)) == {"export-csr.zip", "exports.json"}
    assert len([name for name in object_store.objects(storage_url) if f"/{export}/" in name]) == 2


def test_an_unreachable_storage_is_retried_by_the_next_attempt(
    host: WorkerHarness, export: str, storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(host, away())
    monkeypatch.setattr("worker.run.fenced_writer.time", FakeClock())  # tries as long as a lease is, without the pauses
    failed = host.run(host.claim(), "exports")
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retryable) == ("storage_unavailable", True)
    assert host.job(export).status is Status.QUEUED
    move(host, storage_url)
    assert host.run(host.claim(), "exports") is Outcome.SUCCEEDED


def test_a_mask_lost_by_the_storage_is_named(
    host: WorkerHarness, export: str, storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_bucket(storage_url).delete(object_store.objects(storage_url))
    monkeypatch.setattr("worker.run.fenced_writer.time", FakeClock())  # tries as long as a lease is, without the pauses
    failed = host.run(host.claim(), "exports")
    assert isinstance(failed, Failed)
    assert "mask.safetensors" in failed.message


def test_a_wait_for_the_storage_ends_when_the_job_is_cancelled(host: WorkerHarness, export: str) -> None:
    move(host, away())
    host.context.settings = host.context.settings.model_copy(update={"lease_seconds": 600.0})
    running = host.start(host.claim(), "exports")
    wait_until(lambda: host.work_folder(export).exists(), what="the start")
    with host.context.database.write() as session:
        commands.request_cancel(session, export)
    running.result()
    assert host.job(export).status is Status.CANCELLED


def test_missing_credentials_are_a_retryable_failure(host: WorkerHarness, export: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket_module._client.cache_clear()
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setattr("worker.run.fenced_writer.time", FakeClock())  # tries as long as a lease is, without the pauses
    failed = host.run(host.claim(), "exports")
    assert isinstance(failed, Failed)
    assert failed.code == "storage_unavailable"
    assert "ProfileNotFound" in failed.message
