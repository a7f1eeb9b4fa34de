"""The rescuer's round, step by step and without its thread."""

import pytest

from jobs import store, workers
from jobs.states import Status
from tests.worker.conftest import Bench
from worker.rescue import Rescuer

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def rings(bench: Bench) -> int:
    """How often one round rings."""
    heard: list[None] = []
    Rescuer(bench.context, lambda: heard.append(None)).round()
    return len(heard)


def test_it_rings_for_due_jobs_but_never_more_than_it_could_run(bench: Bench) -> None:
    assert rings(bench) == 0
    bench.submit()
    bench.submit()
    assert rings(bench) == bench.context.settings.worker_slots == 1
    with bench.context.slot():
        assert rings(bench) == 0
    bench.context.stopping.set()
    assert rings(bench) == 0


def test_it_signs_the_worker_on_and_off(bench: Bench) -> None:
    rescuer = Rescuer(bench.context, lambda: None)
    rescuer.round()
    with bench.context.database.read() as session:
        assert [worker.id for worker in workers.live(session, within_seconds=60)] == [bench.context.worker_id]
    rescuer.start()
    rescuer.end()
    with bench.context.database.read() as session:
        assert workers.live(session, within_seconds=60) == []


def test_work_folders_of_ended_jobs_are_cleared_away(bench: Bench) -> None:
    ended, waiting = bench.submit(), bench.submit()
    for job_id in (ended, waiting, "not-a-job"):
        bench.work(job_id).mkdir(parents=True)
    with bench.context.database.write() as session:
        store.request_cancel(session, ended)
    assert bench.job(ended).status is Status.CANCELLED
    Rescuer(bench.context, lambda: None).sweep()
    assert not bench.work(ended).exists()
    assert bench.work(waiting).exists()
    assert bench.work("not-a-job").exists()
