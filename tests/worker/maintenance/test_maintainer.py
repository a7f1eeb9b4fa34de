"""Ticks of the maintainer, one by one and without its thread."""

import re

import pytest
from sqlalchemy import delete

from service.db.models import MaintenanceTurn
from service.jobs import claims, commands, heartbeats
from service.jobs.fence import Fence
from service.states import Status
from tests.json_logs import logged
from tests.service import factories
from tests.worker.conftest import WorkerHarness, fake_trainer_command
from worker.context import Context
from worker.maintenance import maintainer as maintainer_module
from worker.maintenance.maintainer import Maintainer
from worker.run import loop, preparation

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def started(harness: WorkerHarness) -> int:
    """How many jobs one round starts."""
    begun: list[Context] = []
    maintainer = Maintainer(harness.context, begun.append)
    maintainer.tick()
    maintainer.stop()
    return len(begun)


def test_due_jobs_are_started_up_to_the_free_slots(harness: WorkerHarness) -> None:
    assert started(harness) == 0
    harness.submit()
    harness.submit()
    assert started(harness) == harness.context.settings.worker_slots == 1
    with harness.context.slot() as got:
        assert got
        assert started(harness) == 0
        with harness.context.slot() as another:
            assert not another
    harness.context.stopping.set()
    assert started(harness) == 0


def trainers_that(monkeypatch: pytest.MonkeyPatch, behaviour: str) -> None:
    monkeypatch.setattr(preparation, "trainer_command", lambda _settings, _spec, work, *_: fake_trainer_command(work, behaviour))


def test_jobs_without_a_notification_are_run_once_each(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a worker whose broker is unreachable; a late notification finds the slot taken."""
    trainers_that(monkeypatch, "first_waits")
    first, second = harness.submit(), harness.submit()
    maintainer = Maintainer(harness.context)
    maintainer.tick()
    harness.wait_for_event(first, "started")
    assert loop.work(harness.context) == 0
    maintainer.tick()
    assert harness.job(second).status is Status.QUEUED
    trainers_that(monkeypatch, "success")
    with harness.context.database.write() as session:
        commands.request_cancel(session, first)
    maintainer.stop()
    assert (harness.job(first).status, harness.job(first).attempt) == (Status.CANCELLED, 1)
    assert (harness.job(second).status, harness.job(second).attempt) == (Status.SUCCEEDED, 1)


def test_stop_waits_for_the_jobs_that_it_started(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    trainers_that(monkeypatch, "wait")
    job_id = harness.submit()
    maintainer = Maintainer(harness.context)
    maintainer.tick()
    harness.wait_for_event(job_id, "started")
    harness.context.stopping.set()
    maintainer.stop()
    job = harness.job(job_id)
    assert (job.status, job.attempts_spent) == (Status.QUEUED, 0)


def test_a_job_that_asks_for_too_many_devices_gets_an_event(harness: WorkerHarness) -> None:
    job_id = harness.submit(devices=8)
    with logged("worker") as lines:
        assert started(harness) == started(harness) == 0
    assert [line["job_id"] for line in lines if line["level"] == "warning"] == [job_id]
    (message,) = [event.data["message"] for event in harness.events(job_id) if event.type == "waiting"]
    assert re.search(r"\b8 devices.*\b1\b", message)


def test_the_heartbeat_is_recorded_and_removed(harness: WorkerHarness) -> None:
    maintainer = Maintainer(harness.context)
    maintainer.tick()
    with harness.context.database.read() as session:
        assert [worker.id for worker in heartbeats.live_workers(session, within_seconds=60)] == [harness.context.worker_id]
    maintainer.start()
    maintainer.stop()
    with harness.context.database.read() as session:
        assert heartbeats.live_workers(session, within_seconds=60) == []


def test_lost_jobs_are_reaped_by_one_worker_at_a_time(harness: WorkerHarness) -> None:
    """However many there are: each of a thousand would read the rows of all others."""
    harness.context.stopping.set()
    maintainer = Maintainer(harness.context)
    maintainer.tick()
    job = factories.running(harness.context.database)
    factories.expire_leases(harness.context.database, job.id)
    maintainer.tick()
    assert harness.job(job.id).status is Status.RUNNING
    with harness.context.database.write() as session:
        session.execute(delete(MaintenanceTurn))
    maintainer.tick()
    assert harness.job(job.id).status is Status.QUEUED


def test_a_worker_that_starts_looks_for_lost_jobs_out_of_turn(harness: WorkerHarness) -> None:
    harness.context.stopping.set()
    Maintainer(harness.context).tick()
    job = factories.running(harness.context.database)
    factories.expire_leases(harness.context.database, job.id)
    Maintainer(harness.context).tick()
    assert harness.job(job.id).status is Status.QUEUED


def test_leases_that_ran_out_in_a_suspend_can_be_renewed(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that slept: all its threads wake at once, and the reaper must not be faster than the heartbeat."""
    harness.context.stopping.set()
    job = factories.running(harness.context.database)
    maintainer = Maintainer(harness.context)
    later = maintainer_module._clock_offset() + 3600
    monkeypatch.setattr(maintainer_module, "_clock_offset", lambda: later)
    factories.expire_leases(harness.context.database, job.id)
    maintainer.tick()
    assert harness.job(job.id).status is Status.RUNNING
    with harness.context.database.write() as session:
        claims.renew_lease(session, Fence.from_row(job), lease_seconds=60)
    factories.expire_leases(harness.context.database, job.id)
    monkeypatch.setattr(maintainer, "_reap_from", 0.0)  # three heartbeats later
    maintainer.tick()
    assert harness.job(job.id).status is Status.QUEUED
