"""Attempt folders, and an attempt whose checkpoints are out of reach."""

import errno
from pathlib import Path
from typing import Any

import pytest

from pruning.spec.schema import PruningSpec
from service.jobs import commands
from service.jobs.fence import Fence
from tests.worker.conftest import WorkerHarness
from worker.files.work_dirs import checkpoint_folder, prepare
from worker.maintenance.garbage_collector import GarbageCollector
from worker.run.outcome import Failed, Outcome

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NEW = PruningSpec.model_validate({"model": "m", "task": "sst2", "max_steps": 10}).model_dump(mode="json")
OLD = {name: value for name, value in NEW.items() if name not in ("distill_states", "prior_weights")}


def share(harness: WorkerHarness, name: str = "shared") -> None:
    settings = harness.context.settings
    harness.context.settings = settings.model_copy(update={"checkpoint_dir": settings.data_dir.parent / name})


def logged(harness: WorkerHarness, job_id: str) -> list[str]:
    return [event.data["message"] for event in harness.events(job_id) if event.type == "log"]


def hand_back_after_a_step(harness: WorkerHarness, job_id: str) -> None:
    """An attempt that reached a step and left without a checkpoint."""
    harness.run(harness.claim(), "one_step")
    assert harness.job(job_id).step == 1


def test_attempts_have_their_own_folders_and_share_checkpoints(harness: WorkerHarness) -> None:
    share(harness)
    job_id = harness.submit()
    harness.run(harness.claim(), "first_fails")
    kept = checkpoint_folder(harness.context.settings, job_id)
    assert [file.name for file in kept.iterdir()] == ["checkpoint"]
    assert not list(harness.work_folder(job_id).glob("attempt-*"))
    assert harness.run(harness.claim(), "first_fails") is Outcome.SUCCEEDED
    assert not kept.exists()
    assert not harness.work_folder(job_id).exists()


def test_an_attempt_that_starts_over_gets_a_warning(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    hand_back_after_a_step(harness, job_id)
    assert harness.run(harness.claim(), "success") is Outcome.SUCCEEDED
    assert any("step 1" in message and "starts over" in message for message in logged(harness, job_id))


def test_an_attempt_that_resumes_gets_no_warning(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    running = harness.start(harness.claim(), "slow_steady")
    harness.wait_for_event(job_id, "checkpoint")
    harness.context.stopping.set()
    assert running.result() is Outcome.REQUEUED
    harness.context.stopping.clear()
    assert harness.run(harness.claim(), "steady") is Outcome.SUCCEEDED
    assert not any("starts over" in message for message in logged(harness, job_id))
    resumed = [event.data["resumed_from"] for event in harness.events(job_id) if event.type == "started"]
    assert resumed[0] == 0
    assert resumed[1] > 0


def test_an_unusable_shared_folder_does_not_fail_the_job(harness: WorkerHarness) -> None:
    share(harness)
    (harness.context.settings.data_dir.parent / "shared").write_text("a file where a mount should be")
    job_id = harness.submit()
    assert harness.run(harness.claim(), "success") is Outcome.SUCCEEDED
    assert any("checkpoints stay on this host" in message for message in logged(harness, job_id))


def test_a_full_disk_is_named_in_the_error(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    job_id = harness.submit()
    monkeypatch.setattr(Path, "write_text", full)
    failed = harness.run(harness.claim(), "success")
    assert isinstance(failed, Failed)
    assert (failed.code, failed.retryable) == ("insufficient_storage", True)
    assert not list(harness.work_folder(job_id).glob("attempt-*"))


def test_files_of_deleted_jobs_are_removed(harness: WorkerHarness) -> None:
    share(harness)
    job_id = harness.submit()
    for folder in (harness.work_folder(job_id), checkpoint_folder(harness.context.settings, job_id)):
        folder.mkdir(parents=True)
    with harness.context.database.write() as session:
        commands.request_cancel(session, job_id)
        commands.delete(session, job_id)
    GarbageCollector(harness.context).collect()
    assert not harness.work_folder(job_id).exists()
    assert not checkpoint_folder(harness.context.settings, job_id).exists()


@pytest.mark.parametrize(("stored", "expected"), [(OLD, 0.0), (NEW, 1.0)], ids=["before the field", "with it"])
def test_a_run_is_what_it_was_when_it_was_submitted(harness: WorkerHarness, stored: dict[str, Any], expected: float) -> None:
    path, _ = prepare(harness.context.settings, Fence("job_01jd3xk5m8v6q2zr9w4t7y1n0b", 1), stored)
    assert PruningSpec.model_validate_json(path.read_bytes()).distill_states == expected
