"""Duplicate messages, requests and workers: the same work twice, or by two at once, has one effect."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service import failpoints
from service.states import Status
from tests import patient_http
from tests.faults.cluster import Cluster
from tests.faults.conftest import MakeCluster, embedded_only


def test_ten_notifications_for_one_job(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(worker_slots=4)
    job_id = cluster.submit()
    cluster.notify_workers(10)
    for _ in range(2):
        cluster.start_worker()
    assert cluster.wait_for_status(job_id, Status.SUCCEEDED).attempt == 1
    assert cluster.finish().all == []


@pytest.mark.parametrize("behaviour", ["wait", "steady"])
def test_cancel_twice_at_once(cluster: Cluster, behaviour: str) -> None:
    """While it runs, or in a race with its end: never both cancelled and succeeded."""
    cluster.start_api()
    job_id = cluster.submit(behaviour)
    cluster.start_worker()
    cluster.trainer_pid(job_id)
    url = f"{cluster.url}/v1/jobs/{job_id}/cancel"
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.status_code for answer in pool.map(patient_http.post, [url] * 4)]
    job = cluster.wait_for_status(job_id, Status.CANCELLED, Status.SUCCEEDED)
    assert set(answers) <= ({200} if job.status is Status.CANCELLED else {200, 409})
    again = cluster.request("POST", f"/v1/jobs/{job_id}/cancel")
    assert again is not None
    assert again.status_code == (200 if job.status is Status.CANCELLED else 409)
    assert cluster.finish().all == []


def test_two_reapers_requeue_a_job_once(cluster: Cluster) -> None:
    job_id = cluster.submit()
    cluster.start_worker(failpoints.Failpoint.CLAIM_COMMITTED).wait()
    cluster.expire_leases()
    for _ in range(2):
        cluster.start_worker()
    job = cluster.wait_for_status(job_id, Status.SUCCEEDED)
    assert (job.attempt, job.attempts_spent) == (2, 1)
    assert cluster.finish().all == []


@embedded_only
def test_many_jobs_on_many_slots(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(worker_slots=2)
    jobs = [cluster.submit("success") for _ in range(6)]
    for _ in range(2):
        cluster.start_worker()
    assert cluster.finish().all == []
    assert {cluster.job(job_id).attempt for job_id in jobs} == {1}
