"""Processes killed and frozen from outside at chosen moments."""

import os
import signal

import pytest

from service import failpoints
from service.states import Status
from tests.faults.cluster import Cluster
from tests.faults.conftest import MakeCluster, embedded_only
from tests.processes import is_alive
from tests.waiting import wait_until

P = failpoints.Failpoint
QUIET = {"heartbeat_seconds": 5.0, "rescue_seconds": 600.0}
"""No other thread writes meanwhile: it would be frozen holding the job's row."""


@embedded_only
def test_kill_of_a_trainer(cluster: Cluster) -> None:
    """The worker survives, and the job runs again in a second attempt."""
    job_id = cluster.submit("first_waits")
    cluster.start_worker()
    os.kill(cluster.trainer_pid(job_id), signal.SIGKILL)
    job = cluster.wait_for_status(job_id, Status.SUCCEEDED)
    assert (job.attempt, job.attempts_spent) == (2, 1)
    assert cluster.finish().all == []


def test_kill_of_a_worker(cluster: Cluster) -> None:
    job_id = cluster.submit("first_waits")
    first = cluster.start_worker()
    trainer = cluster.trainer_pid(job_id)
    first.kill()
    wait_until(lambda: not is_alive(trainer), what="the end of the orphan")
    cluster.expire_leases()
    cluster.start_worker()
    assert cluster.wait_for_status(job_id, Status.SUCCEEDED).attempts_spent == 1
    assert cluster.finish().all == []


@embedded_only
def test_kill_of_the_api(cluster: Cluster) -> None:
    """Accepted jobs run on without it."""
    first = cluster.start_api()
    jobs = [cluster.post() for _ in range(3)]
    assert all(jobs)
    first.kill()
    cluster.start_worker()
    assert cluster.finish().all == []


def test_freeze_of_a_worker_past_its_lease(make_cluster: MakeCluster) -> None:
    """Its trainer exits by itself; a second worker runs the job; the first notices and writes nothing."""
    cluster = make_cluster(lease_seconds=5.0)
    job_id = cluster.submit("first_waits")
    first = cluster.start_worker()
    trainer = cluster.trainer_pid(job_id)
    first.signal(signal.SIGSTOP)
    wait_until(lambda: not is_alive(trainer), seconds=30, what="the end of a trainer whose worker is frozen")
    cluster.start_worker()
    job = cluster.wait_for_status(job_id, Status.SUCCEEDED)
    assert job.attempt == 2
    recorded = cluster.event_types(job_id)
    first.signal(signal.SIGCONT)
    wait_until(lambda: "belongs to another worker" in first.output, what=lambda: f"the notice of its loss: {first.output}")
    assert cluster.event_types(job_id) == recorded
    cluster.wait_for_status(cluster.submit(), Status.SUCCEEDED)
    cluster.stop()
    assert first.exit_code == 0
    assert cluster.finish().all == []


@pytest.mark.parametrize("stack", ["production"], indirect=True)
@pytest.mark.parametrize("point", [P.EVENT_COMMITTED, P.ARTIFACT_CHUNK, P.ARTIFACT_COMMITTED])
def test_freeze_between_two_writes(make_cluster: MakeCluster, point: failpoints.Failpoint) -> None:
    """The rest of what it was about to write comes too late and is refused."""
    cluster = make_cluster(**QUIET)
    job_id = cluster.submit()
    first = cluster.freeze_worker_at(point)
    cluster.expire_leases()
    cluster.start_worker()
    assert cluster.wait_for_status(job_id, Status.SUCCEEDED).attempt == 2
    recorded = cluster.event_types(job_id)
    first.signal(signal.SIGCONT)
    wait_until(lambda: "belongs to another worker" in first.output, what=lambda: f"the notice of its loss: {first.output}")
    assert cluster.event_types(job_id) == recorded
    assert cluster.finish().all == []


@pytest.mark.parametrize("point", [P.CLAIM_WRITTEN, P.EVENT_WRITTEN, P.FINISH_WRITTEN])
def test_sigterm_during_a_commit(cluster: Cluster, point: failpoints.Failpoint) -> None:
    """What it was writing is complete, and no job stays with a worker that has exited."""
    job_id = cluster.submit()
    first = cluster.freeze_worker_at(point)
    first.signal(signal.SIGTERM)
    first.signal(signal.SIGCONT)
    assert first.wait() == 0
    job = cluster.job(job_id)
    possible = {P.CLAIM_WRITTEN: {Status.QUEUED}, P.FINISH_WRITTEN: {Status.SUCCEEDED}}
    assert job.status in possible.get(point, {Status.QUEUED, Status.SUCCEEDED})  # the trainer may have finished
    assert job.attempts_spent == 0
    cluster.start_worker()
    assert cluster.finish().all == []


@embedded_only
def test_a_job_that_kills_its_worker_fails_and_the_next_one_runs(cluster: Cluster) -> None:
    crashing, next_one = cluster.submit("segfault", priority=5), cluster.submit()
    cluster.start_worker()
    job = cluster.wait_for_status(crashing, Status.FAILED)
    assert (job.attempts_spent, job.error and job.error["code"]) == (3, "trainer_crashed")
    cluster.wait_for_status(next_one, Status.SUCCEEDED)
    assert cluster.finish().all == []


@embedded_only
def test_a_job_that_kills_its_worker_each_time_ends_too(cluster: Cluster) -> None:
    job_id = cluster.submit("wait")
    for attempt in range(1, cluster.settings.max_attempts + 1):
        worker = cluster.start_worker()
        cluster.trainer_pid(job_id, attempt)
        worker.kill()
        cluster.expire_leases()
    cluster.start_worker()
    job = cluster.wait_for_status(job_id, Status.FAILED)
    assert (job.attempts_spent, job.error and job.error["code"]) == (3, "worker_lost")
    assert cluster.finish().all == []
