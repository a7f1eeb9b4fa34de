"""Failpoints: a process is killed at every one, restarted, and nothing is lost, duplicated or left behind."""

import ast
from pathlib import Path

import pytest

from pruning import failpoints as trainer_failpoints
from service import failpoints
from service.artifacts import garbage, store
from service.artifacts.s3 import open_bucket
from service.jobs import queries
from service.states import Status
from tests import object_store
from tests.faults.cluster import Cluster, Failpoint
from tests.faults.conftest import MakeCluster, embedded_only
from tests.processes import ROOT
from tests.waiting import wait_until
from tests.worker.fake_trainer import steady_mask

P = failpoints.Failpoint
IN_API = (P.SUBMIT_WRITTEN, P.SUBMIT_COMMITTED, P.SUBMIT_NOTIFIED, P.CONTROL_COMMITTED)
IN_REAPER = (P.REQUEUE_WRITTEN, P.REQUEUE_COMMITTED)
IN_WORKER = tuple(point for point in P if point not in (*IN_API, *IN_REAPER))
IN_TRAINER = tuple(point for point in trainer_failpoints.Failpoint if point is not trainer_failpoints.Failpoint.BASELINE_STEP)
"""Those of every job; a baseline is killed in test_real_trainer."""
ON_BOTH = (P.CLAIM_WRITTEN, P.CLAIM_COMMITTED, P.EVENT_WRITTEN, P.ARTIFACT_CHUNK, P.FINISH_WRITTEN, P.FINISH_COMMITTED)
"""Points inside and between transactions: what they leave differs by database."""


def mask_of(cluster: Cluster, job_id: str) -> bytes:
    with cluster.database.read() as session:
        mask = store.get(session, job_id, "mask.safetensors")
    return b"".join(store.iter_bytes(cluster.database, mask.id))


def survives(cluster: Cluster, point: Failpoint) -> None:
    """Kill the worker, or its trainer, at ``point``; the job succeeds all the same, with the same mask."""
    job_id = cluster.submit()
    first = cluster.start_worker(point)
    wait_until(lambda: cluster.was_killed_at(point), seconds=60, what=lambda: f"a kill at {point}: {cluster.logs()}")
    if isinstance(point, P):
        assert first.wait() == -9
        cluster.expire_leases()
        cluster.start_worker()
    job = cluster.wait_for_status(job_id, Status.SUCCEEDED)
    found = cluster.finish()
    assert found.all == []
    assert mask_of(cluster, job_id) == steady_mask()
    attempt_was_lost = point not in (P.CLAIM_WRITTEN, P.FINISH_COMMITTED, trainer_failpoints.Failpoint.LEAVING)
    assert job.attempts_spent == attempt_was_lost


@embedded_only
@pytest.mark.parametrize("point", [*IN_WORKER, *IN_TRAINER])
def test_kill_of_a_worker_or_trainer(cluster: Cluster, point: Failpoint) -> None:
    survives(cluster, point)


@pytest.mark.parametrize("stack", ["production"], indirect=True)
@pytest.mark.parametrize("point", ON_BOTH)
def test_kill_of_a_worker_between_database_and_storage(cluster: Cluster, point: Failpoint) -> None:
    survives(cluster, point)


@embedded_only
def test_kill_in_the_middle_of_an_upload(make_cluster: MakeCluster, storage_url: str) -> None:
    """Nothing of it is visible, the next attempt stores it all, and its parts do not stay in the object storage."""
    cluster = make_cluster(storage_url=storage_url)
    job_id = cluster.submit("large")
    assert cluster.start_worker(P.ARTIFACT_CHUNK, **object_store.CREDENTIALS).wait() == -9
    bucket = open_bucket(storage_url)
    with cluster.database.read() as session:
        assert store.list_for_job(session, job_id) == []
    assert object_store.objects(storage_url) == {}
    assert len(bucket.list_uploads("")) == 1
    cluster.expire_leases()
    cluster.start_worker(None, **object_store.CREDENTIALS)
    assert cluster.wait_for_status(job_id, Status.SUCCEEDED).attempts_spent == 1
    assert cluster.finish().all == []
    assert mask_of(cluster, job_id) == bytes(9 * 1024 * 1024)
    garbage.collect_garbage(cluster.database, storage_url, lambda: False)
    assert len(object_store.objects(storage_url)) == 1
    assert bucket.list_uploads("") == []


@embedded_only
@pytest.mark.parametrize("point", IN_REAPER)
def test_kill_of_a_reaper(cluster: Cluster, point: Failpoint) -> None:
    job_id = cluster.submit()
    cluster.start_worker(P.CLAIM_COMMITTED).wait()
    cluster.expire_leases()
    assert cluster.start_worker(point).wait() == -9
    assert cluster.job(job_id).status is (Status.RUNNING if point is P.REQUEUE_WRITTEN else Status.QUEUED)
    cluster.start_worker()
    assert cluster.wait_for_status(job_id, Status.SUCCEEDED).attempts_spent == 1
    assert cluster.finish().all == []


@pytest.mark.parametrize("point", [P.SUBMIT_WRITTEN, P.SUBMIT_COMMITTED, P.SUBMIT_NOTIFIED])
def test_kill_of_the_api_during_a_submission(cluster: Cluster, point: Failpoint) -> None:
    """Without a response the job may exist or not; if so, it is complete and known by its key. Accepted jobs are never lost."""
    api = cluster.start_api(point)
    assert cluster.post(key="once") is None
    assert api.wait() == -9
    with cluster.database.read() as session:
        stored, _ = queries.page(session, limit=10)
    assert len(stored) == (0 if point is P.SUBMIT_WRITTEN else 1)
    cluster.start_api()
    assert cluster.post(key="once") in (stored or cluster.accepted)
    assert cluster.post(key="once") == cluster.accepted[0]
    cluster.accepted = cluster.accepted[:1]
    cluster.start_worker()
    assert cluster.finish().all == []


@embedded_only
def test_kill_of_the_api_after_a_control_request(cluster: Cluster) -> None:
    job_id = cluster.submit()
    api = cluster.start_api(P.CONTROL_COMMITTED)
    assert cluster.request("POST", f"/v1/jobs/{job_id}/cancel") is None
    assert api.wait() == -9
    assert cluster.job(job_id).status is Status.CANCELLED
    cluster.start_api()
    again = cluster.request("POST", f"/v1/jobs/{job_id}/cancel")
    assert again is not None
    assert again.json()["status"] == "cancelled"
    assert cluster.finish().all == []


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
