"""Processes killed and frozen from outside, at moments of the test's choosing."""

import os
import signal

import pytest

from service import failpoints
from service.states import Status
from tests.faults.cluster import Site
from tests.faults.conftest import MakeSite, on_embedded
from tests.processes import alive
from tests.waiting import until

P = failpoints.Failpoint
QUIET = {"heartbeat_seconds": 5.0, "rescue_seconds": 600.0}
"""No other thread writes meanwhile, and would be frozen holding the job's row."""


@on_embedded
def test_kill_of_a_trainer(site: Site) -> None:
    """The worker lives on, and so does the job: in a second attempt."""
    job_id = site.submit("first_waits")
    site.worker()
    os.kill(site.trainer(job_id), signal.SIGKILL)
    job = site.becomes(job_id, Status.SUCCEEDED)
    assert (job.attempt, job.attempts_spent) == (2, 1)
    assert site.settle().all == []


def test_kill_of_a_worker(site: Site) -> None:
    job_id = site.submit("first_waits")
    first = site.worker()
    trainer = site.trainer(job_id)
    first.kill()
    until(lambda: not alive(trainer), what="the end of the orphan")
    site.lapse()
    site.worker()
    assert site.becomes(job_id, Status.SUCCEEDED).attempts_spent == 1
    assert site.settle().all == []


@on_embedded
def test_kill_of_the_api(site: Site) -> None:
    """Accepted jobs run on without it."""
    first = site.api()
    jobs = [site.post() for _ in range(3)]
    assert all(jobs)
    first.kill()
    site.worker()
    assert site.settle().all == []


def test_freeze_of_a_worker_past_its_lease(make_site: MakeSite) -> None:
    """Its trainer leaves by itself; a second worker does the job; the first finds out and writes nothing."""
    site = make_site(lease_seconds=5.0)
    job_id = site.submit("first_waits")
    first = site.worker()
    trainer = site.trainer(job_id)
    first.signal(signal.SIGSTOP)
    until(lambda: not alive(trainer), seconds=30, what="the end of a trainer whose worker is frozen")
    site.worker()
    job = site.becomes(job_id, Status.SUCCEEDED)
    assert job.attempt == 2
    told = site.types(job_id)
    first.signal(signal.SIGCONT)
    until(lambda: "belongs to another worker" in first.said, what=lambda: f"insight: {first.said}")
    assert site.types(job_id) == told
    site.becomes(site.submit(), Status.SUCCEEDED)
    site.stop()
    assert first.code == 0
    assert site.settle().all == []


@pytest.mark.parametrize("stack", ["production"], indirect=True)
@pytest.mark.parametrize("point", [P.EVENT_COMMITTED, P.ARTIFACT_CHUNK, P.ARTIFACT_COMMITTED])
def test_freeze_between_two_writes(make_site: MakeSite, point: failpoints.Failpoint) -> None:
    """The rest of what it was about to write comes too late and is refused."""
    site = make_site(**QUIET)
    job_id = site.submit()
    first = site.freeze(point)
    site.lapse()
    site.worker()
    assert site.becomes(job_id, Status.SUCCEEDED).attempt == 2
    told = site.types(job_id)
    first.signal(signal.SIGCONT)
    until(lambda: "belongs to another worker" in first.said, what=lambda: f"insight: {first.said}")
    assert site.types(job_id) == told
    assert site.settle().all == []


@pytest.mark.parametrize("point", [P.CLAIM_WRITTEN, P.EVENT_WRITTEN, P.FINISH_WRITTEN])
def test_term_during_a_commit(site: Site, point: failpoints.Failpoint) -> None:
    """Whatever it was writing is whole, and no job stays with a worker that is gone."""
    job_id = site.submit()
    first = site.freeze(point)
    first.signal(signal.SIGTERM)
    first.signal(signal.SIGCONT)
    assert first.ended() == 0
    job = site.job(job_id)
    possible = {P.CLAIM_WRITTEN: {Status.QUEUED}, P.FINISH_WRITTEN: {Status.SUCCEEDED}}
    assert job.status in possible.get(point, {Status.QUEUED, Status.SUCCEEDED})  # the trainer may have been through
    assert job.attempts_spent == 0
    site.worker()
    assert site.settle().all == []


@on_embedded
def test_a_poisonous_job_ends_and_the_next_one_runs(site: Site) -> None:
    poison, next_one = site.submit("segfault", priority=5), site.submit()
    site.worker()
    job = site.becomes(poison, Status.FAILED)
    assert (job.attempts_spent, job.error and job.error["code"]) == (3, "trainer_crashed")
    site.becomes(next_one, Status.SUCCEEDED)
    assert site.settle().all == []


@on_embedded
def test_a_job_that_kills_its_worker_each_time_ends_too(site: Site) -> None:
    job_id = site.submit("wait")
    for attempt in range(1, site.settings.max_attempts + 1):
        worker = site.worker()
        site.trainer(job_id, attempt)
        worker.kill()
        site.lapse()
    site.worker()
    job = site.becomes(job_id, Status.FAILED)
    assert (job.attempts_spent, job.error and job.error["code"]) == (3, "worker_lost")
    assert site.settle().all == []
