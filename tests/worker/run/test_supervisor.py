"""Every way in which a trainer can end, with real processes and both databases."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select, update

from service.artifacts import store
from service.db.models import ArtifactChunk
from service.jobs import commands
from service.states import Status
from tests.processes import group_members, is_alive
from tests.waiting import FakeClock, wait_until
from tests.worker.conftest import WorkerHarness
from worker.run.outcome import Failed, Outcome

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what concerns processes more than rows."""


def started(harness: WorkerHarness, job_id: str) -> int:
    """The trainer's process number, once it is up."""
    file = harness.work_folder(job_id) / "started"
    return int(wait_until(lambda: file.exists() and file.read_text(), what="the trainer"))


def failed(outcome: Outcome | Failed) -> Failed:
    assert isinstance(outcome, Failed)
    return outcome


def test_unreadable_output_is_recorded_and_not_fatal(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    assert harness.run(harness.claim(), "garbage") is Outcome.SUCCEEDED
    events = harness.events(job_id)
    log = [event.data["message"] for event in events if event.type == "log"]
    assert log[0].startswith("Downloading: 10%")
    assert '{"event": "dance"}' in log
    tail = next(event.data for event in events if event.type == "stderr")
    assert tail["cut"]
    assert tail["text"].rstrip().endswith("the end of it \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}")
    assert len(tail["text"]) <= harness.context.settings.log_tail_bytes


def test_a_permanent_error_fails_at_once(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    harness.run(harness.claim(), "permanent")
    job = harness.job(job_id)
    assert job.status is Status.FAILED
    assert job.error == {
        "code": "model_head_missing",
        "message": "no head; take another",
        "param": "model",
        "kind": "user",
        "retryable": False,
    }
    assert not harness.work_folder(job_id).exists()


def test_a_temporary_error_is_retried_in_the_same_folder(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    assert failed(harness.run(harness.claim(), "first_fails")).retryable
    assert harness.job(job_id).status is Status.QUEUED
    assert (harness.work_folder(job_id) / "checkpoints" / "checkpoint").exists()
    assert harness.run(harness.claim(), "first_fails") is Outcome.SUCCEEDED
    assert (harness.job(job_id).attempt, harness.job(job_id).attempts_spent) == (2, 1)


def test_temporary_errors_fail_after_the_last_attempt(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    for _ in range(harness.context.settings.max_attempts):
        harness.run(harness.claim(), "temporary")
    job = harness.job(job_id)
    assert job.status is Status.FAILED
    assert job.error is not None
    assert job.error["code"] == "hub_unreachable"
    assert not harness.work_folder(job_id).exists()


@sqlite_only
@pytest.mark.parametrize(
    ("behaviour", "code", "words", "status"),
    [
        ("bug", "trainer_bug", "a bug of the trainer", Status.FAILED),
        ("segfault", "trainer_crashed", "SIGSEGV", Status.QUEUED),
        ("killed", "trainer_killed", "out of memory", Status.QUEUED),
        ("no_mask", "trainer_bug", "mask.safetensors", Status.FAILED),
        ("no_finish", "trainer_bug", "finished", Status.FAILED),
        ("lies", "trainer_bug", "sha-256", Status.FAILED),
    ],
)
def test_unrequested_ends(harness: WorkerHarness, behaviour: str, code: str, words: str, status: Status) -> None:
    job_id = harness.submit()
    outcome = failed(harness.run(harness.claim(), behaviour))
    assert outcome.code == code
    assert words in outcome.message
    job = harness.job(job_id)
    assert job.status is status
    assert job.error is not None
    assert (job.error["code"], job.error["kind"]) == (code, "system")


@pytest.mark.parametrize("behaviour", ["step_out_of_range", "evaluation_out_of_range", "total_out_of_range"])
def test_a_report_that_the_database_refuses_ends_the_run_at_once(harness: WorkerHarness, behaviour: str) -> None:
    job_id = harness.submit()
    outcome = failed(harness.start(harness.claim(), behaviour).result())
    assert (outcome.code, outcome.retryable) == ("trainer_bug", False)
    assert harness.job(job_id).status is Status.FAILED
    assert not harness.work_folder(job_id).exists()


@sqlite_only
def test_a_cancel_does_not_wait_for_the_file_being_stored(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    to_the_end: list[bool] = []
    batches = store._batches

    def watched(*arguments: Any) -> Iterator[list[tuple[int, bytes]]]:
        yield from batches(*arguments)
        to_the_end.append(True)

    monkeypatch.setattr(store, "_batches", watched)
    job_id = harness.submit()
    running = harness.start(harness.claim(), "stores_much")
    database = harness.context.database

    def chunks() -> int:
        with database.read() as session:
            return session.scalars(select(func.count()).select_from(ArtifactChunk)).one()

    wait_until(lambda: chunks() > 0, what="the first chunks")
    with database.write() as session:
        commands.request_cancel(session, job_id)
    assert running.result() is Outcome.CANCELLED
    assert harness.job(job_id).status is Status.CANCELLED
    assert (chunks(), harness.artifacts(job_id)) == (0, {})
    assert to_the_end == []


@sqlite_only
def test_a_crash_after_the_work_is_done_is_a_success(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    assert harness.run(harness.claim(), "stumbles") is Outcome.SUCCEEDED
    assert harness.job(job_id).status is Status.SUCCEEDED
    assert "-11" in next(event.data["message"] for event in harness.events(job_id) if event.type == "log")


@sqlite_only
def test_a_hanging_trainer_is_killed_with_all_children(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr("worker.run.monitor.time", clock)
    job_id = harness.submit()
    running = harness.start(harness.claim(), "hang")
    trainer = started(harness, job_id)
    clock.advance(harness.context.settings.stall_seconds)
    assert failed(running.result()).code == "trainer_stalled"
    assert not is_alive(trainer)
    wait_until(lambda: not group_members(trainer), what="the end of the trainer's group")
    assert harness.job(job_id).status is Status.QUEUED


@sqlite_only
def test_max_duration(harness: WorkerHarness) -> None:
    job_id = harness.submit(max_duration=0.3)
    outcome = failed(harness.run(harness.claim(), "wait"))
    assert (outcome.code, outcome.param, outcome.kind) == ("max_duration_exceeded", "max_duration", "user")
    assert harness.job(job_id).status is Status.FAILED


def test_cancel_while_it_runs(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    running = harness.start(harness.claim(), "wait")
    trainer = started(harness, job_id)
    with harness.context.database.write() as session:
        commands.request_cancel(session, job_id)
    assert running.result() is Outcome.CANCELLED
    assert not is_alive(trainer)
    assert harness.job(job_id).status is Status.CANCELLED
    assert not harness.work_folder(job_id).exists()


@sqlite_only
def test_cancel_of_a_trainer_that_ignores_signals(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    running = harness.start(harness.claim(), "deaf")
    trainer = started(harness, job_id)
    with harness.context.database.write() as session:
        commands.request_cancel(session, job_id)
    assert running.result() is Outcome.CANCELLED
    assert not is_alive(trainer)


def test_shutdown_requeues_the_job_without_consuming_an_attempt(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    running = harness.start(harness.claim(), "wait")
    started(harness, job_id)
    harness.context.stopping.set()
    assert running.result() is Outcome.REQUEUED
    job = harness.job(job_id)
    assert (job.status, job.attempts_spent, job.lease_expires_at) == (Status.QUEUED, 0, None)
    assert (harness.work_folder(job_id) / "stopped").exists()


def test_a_lost_lease_ends_the_trainer_and_writes_nothing(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    running = harness.start(harness.claim(), "wait")
    trainer = started(harness, job_id)
    table = type(harness.job(job_id))
    with harness.context.database.write() as session:  # as if the lease had run out, and another worker had taken over
        session.execute(update(table).where(table.id == job_id).values(attempt=table.attempt + 1))
    before = len(harness.events(job_id))
    assert running.result() is Outcome.ABANDONED
    assert not is_alive(trainer)
    assert harness.job(job_id).status is Status.RUNNING
    assert len(harness.events(job_id)) == before


@sqlite_only
def test_child_processes_of_a_trainer_are_killed(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    assert harness.run(harness.claim(), "leftover") is Outcome.SUCCEEDED
    child = int((harness.work_folder(job_id).parent / "leftover").read_text())
    wait_until(lambda: not is_alive(child), what="the end of the leftover")


@sqlite_only
def test_the_trainer_gets_no_secrets(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ESPALIER_DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "PGPASSWORD"):
        monkeypatch.setenv(name, "hidden-from-trainers")
    monkeypatch.setenv("SOME_URL", "https://user:hidden-from-trainers@example.org/")
    job_id = harness.submit()
    harness.run(harness.claim(), "first_fails")
    recorded = (harness.work_folder(job_id) / "environment").read_text()
    assert "hidden-from-trainers" not in recorded
    assert "OMP_WAIT_POLICY=PASSIVE" in recorded
    assert "PATH=" in recorded


@sqlite_only
def test_a_stopped_trainer_is_ended_and_the_job_runs_again(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr("worker.run.monitor.time", clock)
    job_id = harness.submit()
    running = harness.start(harness.claim(), "wait")
    trainer = started(harness, job_id)
    os.kill(trainer, signal.SIGSTOP)
    clock.advance(harness.context.settings.stall_seconds)
    assert failed(running.result()).code == "trainer_stalled"
    assert not is_alive(trainer)
    monkeypatch.undo()
    assert harness.run(harness.claim(), "success") is Outcome.SUCCEEDED
