"""The rescuer's round, step by step and without its thread."""

import pytest

from service.jobs import commands, heartbeats
from service.states import Status
from tests.worker.conftest import WorkerHarness, fake_trainer_command
from worker.context import Context
from worker.maintenance.maintainer import Maintainer
from worker.run import loop, supervisor

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def started(bench: WorkerHarness) -> int:
    """How many jobs one round starts."""
    begun: list[Context] = []
    rescuer = Maintainer(bench.context, begun.append)
    rescuer.tick()
    rescuer.end()
    return len(begun)


def test_it_starts_due_jobs_but_never_more_than_it_could_run(bench: WorkerHarness) -> None:
    assert started(bench) == 0
    bench.submit()
    bench.submit()
    assert started(bench) == bench.context.settings.worker_slots == 1
    with bench.context.slot() as got:
        assert got
        assert started(bench) == 0
        with bench.context.slot() as another:
            assert not another
    bench.context.stopping.set()
    assert started(bench) == 0


def trainers_that(monkeypatch: pytest.MonkeyPatch, behaviour: str) -> None:
    monkeypatch.setattr(
        supervisor, "trainer_command", lambda _settings, _spec, work, *_: fake_trainer_command(work, behaviour)
    )


def test_jobs_that_nobody_rings_for_are_run_once_each(bench: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a worker that cannot hear its broker; a bell that is heard after all finds the slot taken."""
    trainers_that(monkeypatch, "first_waits")
    first, second = bench.submit(), bench.submit()
    rescuer = Maintainer(bench.context)
    rescuer.tick()
    bench.wait_for_event(first, "started")
    assert loop.work(bench.context) == 0
    rescuer.tick()
    assert bench.job(second).status is Status.QUEUED
    trainers_that(monkeypatch, "success")
    with bench.context.database.write() as session:
        commands.request_cancel(session, first)
    rescuer.end()
    assert (bench.job(first).status, bench.job(first).attempt) == (Status.CANCELLED, 1)
    assert (bench.job(second).status, bench.job(second).attempt) == (Status.SUCCEEDED, 1)


def test_leaving_waits_for_the_jobs_that_it_started(bench: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    trainers_that(monkeypatch, "wait")
    job_id = bench.submit()
    rescuer = Maintainer(bench.context)
    rescuer.tick()
    bench.wait_for_event(job_id, "started")
    bench.context.stopping.set()
    rescuer.end()
    job = bench.job(job_id)
    assert (job.status, job.attempts_spent) == (Status.QUEUED, 0)


def test_a_job_that_asks_for_too_many_devices_says_that_it_waits(bench: WorkerHarness) -> None:
    job_id = bench.submit(devices=8)
    assert started(bench) == started(bench) == 0
    (told,) = [event.data["message"] for event in bench.events(job_id) if event.type == "waiting"]
    assert "asks for 8 devices, and no live worker has more than 1" in told


def test_it_signs_the_worker_on_and_off(bench: WorkerHarness) -> None:
    rescuer = Maintainer(bench.context)
    rescuer.tick()
    with bench.context.database.read() as session:
        assert [worker.id for worker in heartbeats.live(session, within_seconds=60)] == [bench.context.worker_id]
    rescuer.start()
    rescuer.end()
    with bench.context.database.read() as session:
        assert heartbeats.live(session, within_seconds=60) == []


def test_work_folders_of_ended_jobs_are_cleared_away(bench: WorkerHarness) -> None:
    ended, waiting = bench.submit(), bench.submit()
    for job_id in (ended, waiting, "not-a-job"):
        bench.work(job_id).mkdir(parents=True)
    with bench.context.database.write() as session:
        commands.request_cancel(session, ended)
    assert bench.job(ended).status is Status.CANCELLED
    Maintainer(bench.context).collect_garbage()
    assert not bench.work(ended).exists()
    assert bench.work(waiting).exists()
    assert bench.work("not-a-job").exists()
