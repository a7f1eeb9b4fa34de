"""A process dies at every named point, is started again, and nothing is lost, doubled or left behind."""

import ast
from pathlib import Path

import pytest

from pruning import failpoints as trainer_failpoints
from service import failpoints
from service.artifacts import garbage, store
from service.artifacts.s3 import open_bucket
from service.jobs import commands
from service.states import Status
from tests import object_store
from tests.faults.cluster import Failpoint, Site
from tests.faults.conftest import MakeSite, on_embedded
from tests.processes import ROOT
from tests.waiting import until
from tests.worker.fake_trainer import steady_mask

P = failpoints.Failpoint
IN_API = (P.SUBMIT_WRITTEN, P.SUBMIT_COMMITTED, P.SUBMIT_NOTIFIED, P.CONTROL_COMMITTED)
IN_REAPER = (P.REQUEUE_WRITTEN, P.REQUEUE_COMMITTED)
IN_WORKER = tuple(point for point in P if point not in (*IN_API, *IN_REAPER))
IN_TRAINER = tuple(trainer_failpoints.Failpoint)
ON_BOTH = (P.CLAIM_WRITTEN, P.CLAIM_COMMITTED, P.EVENT_WRITTEN, P.ARTIFACT_CHUNK, P.FINISH_WRITTEN, P.FINISH_COMMITTED)
"""Points inside and between transactions: what they leave differs by database."""


def mask_of(site: Site, job_id: str) -> bytes:
    with site.database.read() as session:
        mask = store.get(session, job_id, "mask.safetensors")
    return b"".join(store.iterate(site.database, mask.id))


def survives(site: Site, point: Failpoint) -> None:
    """The worker, or its trainer, dies at ``point``; the job ends well all the same, and as it would have."""
    job_id = site.submit()
    first = site.worker(point)
    until(lambda: site.died_at(point), seconds=60, what=lambda: f"a death at {point}: {site.logs()}")
    if isinstance(point, P):
        assert first.ended() == -9
        site.lapse()
        site.worker()
    job = site.becomes(job_id, Status.SUCCEEDED)
    found = site.settle()
    assert found.all == []
    assert mask_of(site, job_id) == steady_mask()
    died_with_the_job = point not in (P.CLAIM_WRITTEN, P.FINISH_COMMITTED, trainer_failpoints.Failpoint.LEAVING)
    assert job.attempts_spent == died_with_the_job


@on_embedded
@pytest.mark.parametrize("point", [*IN_WORKER, *IN_TRAINER])
def test_death_of_a_worker_or_trainer(site: Site, point: Failpoint) -> None:
    survives(site, point)


@pytest.mark.parametrize("stack", ["production"], indirect=True)
@pytest.mark.parametrize("point", ON_BOTH)
def test_death_of_a_worker_between_two_servers(site: Site, point: Failpoint) -> None:
    survives(site, point)


@on_embedded
def test_death_in_the_middle_of_an_upload(make_site: MakeSite, storage_url: str) -> None:
    """Nothing of it can be seen, the next attempt stores it all, and the parts do not stay in the object storage."""
    site = make_site(storage_url=storage_url)
    job_id = site.submit("large")
    assert site.worker(P.ARTIFACT_CHUNK, **object_store.CREDENTIALS).ended() == -9
    bucket = open_bucket(storage_url)
    with site.database.read() as session:
        assert store.listing(session, job_id) == []
    assert object_store.objects(storage_url) == {}
    assert len(bucket.uploads("")) == 1
    site.lapse()
    site.worker(**object_store.CREDENTIALS)
    assert site.becomes(job_id, Status.SUCCEEDED).attempts_spent == 1
    assert site.settle().all == []
    assert mask_of(site, job_id) == bytes(9 * 1024 * 1024)
    garbage.sweep(site.database, storage_url, lambda: False)
    assert len(object_store.objects(storage_url)) == 1
    assert bucket.uploads("") == []


@on_embedded
@pytest.mark.parametrize("point", IN_REAPER)
def test_death_of_a_reaper(site: Site, point: Failpoint) -> None:
    job_id = site.submit()
    site.worker(P.CLAIM_COMMITTED).ended()
    site.lapse()
    assert site.worker(point).ended() == -9
    assert site.job(job_id).status is (Status.RUNNING if point is P.REQUEUE_WRITTEN else Status.QUEUED)
    site.worker()
    assert site.becomes(job_id, Status.SUCCEEDED).attempts_spent == 1
    assert site.settle().all == []


@pytest.mark.parametrize("point", [P.SUBMIT_WRITTEN, P.SUBMIT_COMMITTED, P.SUBMIT_NOTIFIED])
def test_death_of_the_api_while_it_accepts(site: Site, point: Failpoint) -> None:
    """No answer: the job may be there or not, but then whole, and known by its key; an accepted one never goes missing."""
    api = site.api(point)
    assert site.post(key="once") is None
    assert api.ended() == -9
    with site.database.read() as session:
        stored, _ = commands.page(session, limit=10)
    assert len(stored) == (0 if point is P.SUBMIT_WRITTEN else 1)
    site.api()
    assert site.post(key="once") in (stored or site.accepted)
    assert site.post(key="once") == site.accepted[0]
    site.accepted = site.accepted[:1]
    site.worker()
    assert site.settle().all == []


@on_embedded
def test_death_of_the_api_after_a_wish(site: Site) -> None:
    job_id = site.submit()
    api = site.api(P.CONTROL_COMMITTED)
    assert site.ask("POST", f"/v1/jobs/{job_id}/cancel") is None
    assert api.ended() == -9
    assert site.job(job_id).status is Status.CANCELLED
    site.api()
    again = site.ask("POST", f"/v1/jobs/{job_id}/cancel")
    assert again is not None
    assert again.json()["status"] == "cancelled"
    assert site.settle().all == []


def test_every_failpoint_is_hit_somewhere_and_tested_here() -> None:
    tested = {*IN_API, *IN_REAPER, *IN_WORKER}
    assert tested == set(P)
    for package, points in ((("service", "api", "worker"), P), (("pruning",), trainer_failpoints.Failpoint)):
        named = [name for folder in package for file in (ROOT / folder).rglob("*.py") for name in _failpoints(file)]
        assert {point.name for point in points} == set(named)


def _failpoints(file: Path) -> list[str]:
    """Failpoints that a file hits."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return [
        call.args[0].attr
        for call in calls
        if ast.unparse(call.func) == "failpoints.hit" and isinstance(call.args[0], ast.Attribute)
    ]
