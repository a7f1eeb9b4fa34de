"""Claiming a job, and what the fence allows."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job, RunWarning
from service.errors import ArtifactNotFoundError, LeaseLostError
from service.jobs import claims, commands, queries
from service.jobs.fence import Fence
from service.jobs.reaper import reap_expired_leases
from service.protocol import PROTOCOL
from service.states import Status
from tests.service import factories
from tests.service.factories import db_now


def test_a_claim_gives_a_lease_and_a_new_attempt(database: Database) -> None:
    factories.queued(database)
    job = factories.claim(database, worker_id="w7", lease_seconds=60)
    assert job is not None
    with database.read() as session:
        now = db_now(session)
    assert (job.status, job.attempt, job.attempts_spent, job.worker_id) == (Status.RUNNING, 1, 0, "w7")
    assert job.lease_expires_at is not None
    assert timedelta(seconds=55) < job.lease_expires_at - now <= timedelta(seconds=60)
    assert job.started_at is not None
    assert job.spec == factories.SPEC
    assert factories.recorded_events(database, job.id)[-1] == ("status", {"status": "running", "worker": "w7"})
    assert factories.claim(database) is None


def test_the_highest_priority_goes_first_then_the_oldest(database: Database) -> None:
    low, old, young, high = (factories.queued(database, priority=priority) for priority in (-1, 0, 0, 9))
    with database.write() as session:
        session.execute(update(Job).where(Job.id == old).values(created_at=now_sql(-60)))
    order = [job.id for job in iter(lambda: factories.claim(database), None)]
    assert order == [high, old, young, low]


def asking(database: Database, devices: int) -> str:
    return factories.queued(database, spec={**factories.SPEC, "devices": devices})


def test_a_job_for_many_devices_is_claimed_before_later_small_ones(database: Database) -> None:
    def claimed(devices: int, free: int) -> str | None:
        with database.write() as session:
            could = claims.count_startable(session, devices=devices, free_devices=free, slots=4)
            job = claims.claim(session, worker_id="w", lease_seconds=60, devices=devices, free_devices=free)
        assert (could > 0) is (job is not None)
        return job.id if job else None

    too_big, big, small = asking(database, 9), asking(database, 3), factories.queued(database)
    assert claimed(4, 2) is None  # although the small one would fit in
    assert claimed(2, 2) == small  # a worker that could never run the big one does not wait for that
    small = factories.queued(database)
    with database.read() as session:
        assert [claims.count_startable(session, devices=4, free_devices=free, slots=4) for free in (2, 3, 4)] == [0, 1, 2]
        assert claims.count_startable(session, devices=4, free_devices=4, slots=1) == 1
    assert (claimed(4, 3), claimed(4, 1)) == (big, small)
    assert claimed(4, 4) is None
    assert claimed(9, 9) == too_big


def test_a_job_of_a_later_version_waits_for_a_worker_that_knows_it(database: Database) -> None:
    later, known = factories.queued(database, priority=9), factories.queued(database)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == later).values(protocol=PROTOCOL + 1))
    with database.read() as session:
        assert claims.count_startable(session, devices=1, free_devices=1, slots=4) == 1
    first, then = factories.claim(database), factories.claim(database)
    assert first is not None
    assert (first.id, then) == (known, None)
    with database.write() as session:
        claimed = claims.claim(session, worker_id="w", lease_seconds=60, protocol=PROTOCOL + 1)
    assert claimed is not None
    assert claimed.id == later


def test_a_job_is_not_claimed_before_its_time(database: Database) -> None:
    job_id = factories.queued(database)
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(not_before=now_sql(60)))
    assert factories.claim(database) is None
    factories.make_due(database, job_id)
    assert factories.claim(database) is not None


def test_an_attempt_records_phase_progress_metrics_and_events(database: Database) -> None:
    job = factories.running(database)
    with database.write() as session:
        claims.set_phase(session, Fence.from_row(job), "training")
        claims.set_progress(session, Fence.from_row(job), step=1, total_steps=9, eta_seconds=4.5, metrics={"loss": 0.5, "lr": 0.1})
        claims.set_progress(session, Fence.from_row(job), step=2, metrics={"loss": 0.25})
        assert claims.record_event(session, Fence.from_row(job), "log", {"message": "half way"}) == 3
    now = factories.load(database, job.id)
    assert (now.phase, now.step, now.total_steps, now.eta_seconds) == ("training", 2, 9, 4.5)
    assert now.metrics == {"loss": 0.25, "lr": 0.1}
    assert now.progress_at is not None
    assert factories.recorded_events(database, job.id)[-1] == ("log", {"message": "half way"})


def test_success_needs_a_complete_mask_of_the_same_job(database: Database, tmp_path: Path) -> None:
    other = factories.succeeded(database, tmp_path)
    job = factories.running(database)
    for mask in (other.mask_artifact_id, 999_999):
        with pytest.raises(ArtifactNotFoundError), database.write() as session:
            claims.succeed(session, Fence.from_row(job), result={}, mask_artifact_id=mask or 0)
    mask = factories.store_file(database, job, tmp_path / "mask", b"1")
    with database.write() as session:
        done = claims.succeed(session, Fence.from_row(job), result={"accuracy": 1}, mask_artifact_id=mask)
    assert (done.status, done.mask_artifact_id, done.result) == (Status.SUCCEEDED, mask, {"accuracy": 1})
    assert (done.lease_expires_at, done.eta_seconds, done.phase) == (None, None, None)


def test_a_failure_stores_its_error(database: Database) -> None:
    job = factories.failed(database)
    assert (job.status, job.error) == (Status.FAILED, factories.LOST)
    assert factories.recorded_events(database, job.id)[-1] == ("status", {"status": "failed", "error": factories.LOST})


def test_a_requeue_spends_no_attempt_but_advances_the_fence(database: Database) -> None:
    job = factories.running(database)
    with database.write() as session:
        back = claims.requeue(session, Fence.from_row(job), reason="worker_shutdown")
    assert (back.status, back.attempts_spent) == (Status.QUEUED, 0)
    again = factories.claim(database)
    assert again is not None
    assert (again.attempt, again.attempts_spent, again.started_at) == (2, 0, job.started_at)
    with pytest.raises(LeaseLostError), database.write() as session:
        claims.set_phase(session, Fence.from_row(job), "training")


def test_temporary_failures_back_off_until_no_attempt_is_left(database: Database) -> None:
    job_id = factories.queued(database)
    for spent, delay in ((1, 15), (2, 30)):
        job = factories.claim(database)
        assert job is not None
        with database.write() as session:
            job = claims.retry_or_fail(
                session, Fence(job_id, job.attempt), error=factories.LOST, retry_delay_seconds=15, max_attempts=3
            )
            wait = (job.not_before - db_now(session)).total_seconds()
        assert (job.status, job.attempts_spent, job.error) == (Status.QUEUED, spent, factories.LOST)
        assert delay - 5 < wait <= delay
        assert factories.claim(database) is None
        factories.make_due(database, job_id)
    job = factories.claim(database)
    assert job is not None
    assert job.error is None
    with database.write() as session:
        job = claims.retry_or_fail(
            session, Fence(job_id, job.attempt), error=factories.LOST, retry_delay_seconds=15, max_attempts=3
        )
    assert (job.status, job.attempts_spent, job.error) == (Status.FAILED, 3, factories.LOST)


@pytest.mark.parametrize("requested", ["cancel", "pause"])
@pytest.mark.parametrize("way", ["requeue", "retry", "reap"])
def test_a_request_is_honoured_by_every_way_back_to_the_queue(database: Database, requested: str, way: str) -> None:
    job = factories.running(database)
    with database.write() as session:
        (commands.request_cancel if requested == "cancel" else commands.request_pause)(session, job.id)
    if way == "reap":
        factories.expire_leases(database, job.id)
    with database.write() as session:
        if way == "requeue":
            claims.requeue(session, Fence.from_row(job), reason="worker_shutdown")
        elif way == "retry":
            claims.retry_or_fail(session, Fence.from_row(job), error=factories.LOST, retry_delay_seconds=0, max_attempts=3)
        else:
            reap_expired_leases(session, max_attempts=3, retry_delay_seconds=0)
    assert factories.load(database, job.id).status is (Status.CANCELLED if requested == "cancel" else Status.PAUSED)


def test_a_request_to_cancel_precedes_pausing_and_failing(database: Database) -> None:
    one, two = factories.running(database), factories.running(database)
    with database.write() as session:
        for job in (one, two):
            commands.request_cancel(session, job.id)
        assert claims.pause(session, Fence(one.id, 1)).status is Status.CANCELLED
        ended = claims.retry_or_fail(session, Fence(two.id, 1), error=factories.LOST, retry_delay_seconds=0, max_attempts=1)
    assert (ended.status, ended.error) == (Status.CANCELLED, None)


FENCED: dict[str, Callable[[Session, Fence], object]] = {
    "renew_lease": lambda s, fence: claims.renew_lease(s, fence, lease_seconds=60),
    "record_event": lambda s, fence: claims.record_event(s, fence, "log", {}),
    "record_metrics": lambda s, fence: claims.record_metrics(s, fence, step=1, values={}),
    "record_step": lambda s, fence: claims.record_step(s, fence, step=99, total_steps=100, eta_seconds=1, values={"loss": 1}),
    "complete_spec": lambda session, fence: claims.complete_spec(session, fence, validation_share=0.1),
    "set_phase": lambda s, fence: claims.set_phase(s, fence, "saving"),
    "set_progress": lambda s, fence: claims.set_progress(s, fence, step=99),
    "set_progress with metrics": lambda s, fence: claims.set_progress(s, fence, metrics={"loss": 1}),
    "add_warning": lambda s, fence: claims.add_warning(s, fence, RunWarning(code="c", message="m", remedy="r")),
    "succeed": lambda s, fence: claims.succeed(s, fence, result={}, mask_artifact_id=1),
    "fail": lambda s, fence: claims.fail(s, fence, error=factories.LOST),
    "cancel": lambda s, fence: claims.cancel(s, fence),
    "pause": lambda s, fence: claims.pause(s, fence),
    "requeue": lambda s, fence: claims.requeue(s, fence, reason="worker_shutdown"),
    "retry_or_fail": lambda s, fence: claims.retry_or_fail(s, fence, error=factories.LOST, retry_delay_seconds=0, max_attempts=1),
}


@pytest.mark.parametrize("owner", ["another attempt", "the queue", "no attempt"])
def test_a_stale_fence_writes_nothing(database: Database, owner: str) -> None:
    job = factories.running(database)
    factories.expire_leases(database, job.id)
    with database.write() as session:
        reap_expired_leases(session, max_attempts=2, retry_delay_seconds=0)
    if owner != "the queue":
        second = factories.claim(database)
        assert second is not None
        if owner == "no attempt":
            with database.write() as session:
                claims.fail(session, Fence.from_row(second), error=factories.LOST)
    before, events = factories.load(database, job.id), factories.recorded_events(database, job.id)
    for write in FENCED.values():
        with pytest.raises(LeaseLostError, match=f"1 .*{job.id}"), database.write() as session:
            write(session, Fence.from_row(job))
    now = factories.load(database, job.id)
    columns = [column.key for column in Job.__mapper__.column_attrs]
    assert {name: getattr(now, name) for name in columns} == {name: getattr(before, name) for name in columns}
    assert factories.recorded_events(database, job.id) == events


def test_every_fenced_write_is_in_the_fence_test() -> None:
    public = {name for name, value in vars(claims).items() if callable(value) and value.__module__ == claims.__name__}
    of_a_locked_job = {"record_failed_attempt", "release"}
    assert {name.split()[0] for name in FENCED} == {name for name in public if not name.startswith("_")} - of_a_locked_job - {
        "claim",
        "ControlRequests",
        "due_jobs",
        "queued_at",
        "count_startable",
    }


def test_warnings_of_a_run_stay_with_the_job_one_of_each_code(database: Database) -> None:
    first = RunWarning(code="budget_small", message="few rows", remedy="more")
    job = factories.running(database, warnings=[first])
    assert job.warnings == [first]
    for code, message in (("predicts_one_class", "a"), ("budget_small", "b"), ("predicts_one_class", "c")):
        with database.write() as session:
            claims.add_warning(session, Fence.from_row(job), RunWarning(code=code, message=message, remedy="r"))
    with database.read() as session:
        stored = queries.get(session, job.id).warnings
    assert [(warning["code"], warning["message"]) for warning in stored or []] == [
        ("budget_small", "b"),
        ("predicts_one_class", "c"),
    ]
    with database.write() as session, pytest.raises(LeaseLostError):
        claims.add_warning(session, Fence(job.id, job.attempt + 1), first)
