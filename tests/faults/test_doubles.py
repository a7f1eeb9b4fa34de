"""The same thing said twice, or done by two at once."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from service import failpoints
from service.states import Status
from tests.faults.cluster import Site
from tests.faults.conftest import MakeSite, on_embedded


def test_ten_rings_for_one_job(make_site: MakeSite) -> None:
    site = make_site(worker_slots=4)
    job_id = site.submit()
    site.ring(10)
    for _ in range(2):
        site.worker()
    assert site.becomes(job_id, Status.SUCCEEDED).attempt == 1
    assert site.settle().all == []


@pytest.mark.parametrize("behaviour", ["wait", "steady"])
def test_cancel_twice_at_once(site: Site, behaviour: str) -> None:
    """While it runs, or in a race with its end: never both cancelled and succeeded."""
    site.api()
    job_id = site.submit(behaviour)
    site.worker()
    site.trainer(job_id)
    url = f"{site.url}/v1/jobs/{job_id}/cancel"
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.status_code for answer in pool.map(httpx.post, [url] * 4)]
    job = site.becomes(job_id, Status.CANCELLED, Status.SUCCEEDED)
    assert set(answers) <= ({200} if job.status is Status.CANCELLED else {200, 409})
    again = site.ask("POST", f"/v1/jobs/{job_id}/cancel")
    assert again is not None
    assert again.status_code == (200 if job.status is Status.CANCELLED else 409)
    assert site.settle().all == []


def test_two_rescuers_bring_a_job_back_once(site: Site) -> None:
    job_id = site.submit()
    site.worker(failpoints.Failpoint.CLAIM_COMMITTED).ended()
    site.lapse()
    for _ in range(2):
        site.worker()
    job = site.becomes(job_id, Status.SUCCEEDED)
    assert (job.attempt, job.attempts_spent) == (2, 1)
    assert site.settle().all == []


@on_embedded
def test_many_jobs_on_many_slots(make_site: MakeSite) -> None:
    site = make_site(worker_slots=2)
    jobs = [site.submit("success") for _ in range(6)]
    for _ in range(2):
        site.worker()
    assert site.settle().all == []
    assert {site.job(job_id).attempt for job_id in jobs} == {1}
