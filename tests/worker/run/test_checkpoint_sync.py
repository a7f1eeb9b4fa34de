"""Attempts with an object storage: resumed on another host, and not disturbed by an unreachable storage."""

from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from service.artifacts import store
from service.jobs import commands
from service.states import Status
from tests import object_store, services
from tests.waiting import FakeClock
from tests.worker.conftest import WorkerHarness
from tests.worker.fake_trainer import steady_mask
from worker.context import Context
from worker.maintenance.garbage_collector import GarbageCollector
from worker.run.checkpoint_sync import CheckpointUploader
from worker.run.outcome import Failed, Outcome

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def on_host(harness: WorkerHarness, storage_url: str, name: str) -> WorkerHarness:
    """A worker with a data folder of its own."""
    settings = harness.context.settings
    changed = settings.model_copy(update={"storage_url": storage_url, "data_dir": settings.data_dir.parent / name})
    return WorkerHarness(Context(changed, harness.context.database))


def checkpoints(storage_url: str) -> list[str]:
    return [name.rpartition("/")[2] for name in object_store.objects(storage_url) if name.startswith("checkpoints/")]


def warnings(harness: WorkerHarness, job_id: str) -> list[str]:
    return [event.data["message"] for event in harness.events(job_id) if event.data.get("level") == "warning"]


def test_another_host_resumes_from_the_newest_checkpoint(harness: WorkerHarness, storage_url: str) -> None:
    first, second = on_host(harness, storage_url, "first"), on_host(harness, storage_url, "second")
    job_id = harness.submit()
    running = first.start(first.claim(), "slow_steady")
    harness.wait_for_event(job_id, "checkpoint")
    first.context.stopping.set()
    assert running.result() is Outcome.REQUEUED
    newest = harness.job(job_id).step
    assert str(newest) in checkpoints(storage_url)
    assert len(checkpoints(storage_url)) <= 2
    assert second.run(second.claim(), "steady") is Outcome.SUCCEEDED
    resumed = [event.data["resumed_from"] for event in harness.events(job_id) if event.type == "started"]
    assert resumed == [0, newest]
    assert warnings(harness, job_id) == []
    mask = harness.artifacts(job_id)["mask.safetensors"]
    assert b"".join(store.iter_bytes(harness.context.database, mask.id)) == steady_mask(max(newest, 4))
    assert checkpoints(storage_url) == []
    assert len(object_store.objects(storage_url)) == 1  # the mask
    first.context.stopping.clear()
    GarbageCollector(first.context).collect()
    assert not first.work_folder(job_id).exists()


def test_an_unreachable_storage_causes_warnings_only(harness: WorkerHarness, storage_url: str) -> None:
    away = on_host(harness, f"s3://b?endpoint=http://127.0.0.1:{services.free_port()}", "here")
    job_id = harness.submit()
    running = away.start(away.claim(), "slow_steady")
    harness.wait_for_event(job_id, "checkpoint")
    harness.wait_for_event(job_id, "log")
    with harness.context.database.write() as session:
        commands.request_pause(session, job_id)
    assert running.result() is Outcome.PAUSED
    recorded = warnings(harness, job_id)
    assert recorded[0].startswith("earlier checkpoints")
    assert all(message.startswith("checkpoints stay on this host for now") for message in recorded[1:])
    assert len(recorded) <= 2
    assert harness.job(job_id).step > 0


def test_an_artifact_that_cannot_be_stored_is_retried_later(
    harness: WorkerHarness, storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.run.checkpoint_sync.checkpoint_store.fetch", lambda *_: None)
    here = on_host(harness, storage_url.replace("bucket-", "missing-"), "here")
    monkeypatch.setattr("worker.run.fenced_writer.time", FakeClock())  # tries as long as a lease is, without the pauses
    job_id = harness.submit()
    failed = here.run(here.claim(), "success")
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retryable) == ("storage_unavailable", True)
    assert harness.job(job_id).status is Status.QUEUED
    assert harness.artifacts(job_id) == {}


def test_a_quota_fails_the_job_with_a_clear_error(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    limit = harness.job(job_id).record_bytes + 1  # the events of the run alone are more
    harness.context.settings = harness.context.settings.model_copy(update={"max_stored_bytes_per_owner": limit})
    harness.run(harness.claim(), "success")
    job = harness.job(job_id)
    assert job.status is Status.FAILED
    assert job.error is not None
    assert (job.error["code"], job.error["kind"], job.error["retryable"]) == ("quota_exceeded", "user", False)
    assert all(part in job.error["message"] for part in ("mask.safetensors of 6 bytes", f"local may store {limit} bytes"))
    assert harness.artifacts(job_id) == {}


def test_trainers_get_no_access_to_the_storage(harness: WorkerHarness, storage_url: str, tmp_path: Path) -> None:
    here = on_host(harness, storage_url, "here")
    job_id = harness.submit()
    running = here.start(here.claim(), "slow_steady")
    harness.wait_for_event(job_id, "checkpoint")
    seen = (here.work_folder(job_id) / "environment").read_text()
    with harness.context.database.write() as session:
        commands.request_cancel(session, job_id)
    assert running.result() is Outcome.CANCELLED
    assert "PATH=" in seen
    assert "AWS_" not in seen
    assert storage_url not in seen
    assert object_store.CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in seen
    assert object_store.objects(storage_url) == {}


@pytest.mark.usefixtures("database_url")
def test_the_upload_thread_logs_with_the_fields_of_its_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bound: list[dict[str, object]] = []
    monkeypatch.setattr("worker.run.checkpoint_sync.checkpoint_store.upload", lambda *_: bound.append(get_contextvars()))
    bucket: Any = None
    with bound_contextvars(job_id="job_1", attempt=2):
        uploader = CheckpointUploader(bucket, "job_1", tmp_path, lost=lambda: False, warn=lambda _: None)
    uploader.wake()
    uploader.close(seconds=30)
    assert bound == [{"job_id": "job_1", "attempt": 2}]
