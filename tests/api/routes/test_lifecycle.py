"""Pause, resume and retry over HTTP in every state of a job; control requests are forced when the worker is dead."""

from fastapi.testclient import TestClient

from service.db.engine import Database
from service.jobs import claims
from service.jobs.fence import Fence
from tests.api.conftest import Jobs
from tests.api.problems import assert_problem
from tests.service import factories


def test_pause_and_resume_a_queued_job(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.queued()
    for _ in range(2):
        assert client.post(f"/v1/jobs/{job_id}/pause").json()["status"] == "paused"
    for _ in range(2):
        assert client.post(f"/v1/jobs/{job_id}/resume").json()["status"] == "queued"
    assert_problem(client.post("/v1/jobs/job_0/pause"), 404, "job_not_found")
    assert_problem(client.post("/v1/jobs/job_0/resume"), 404, "job_not_found")
    assert_problem(client.post("/v1/jobs/job_0/retry"), 404, "job_not_found")


def test_a_pause_request_of_a_running_job_can_be_withdrawn(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    for _ in range(2):
        job = client.post(f"/v1/jobs/{job_id}/pause").json()
        assert job["status"] == "running"
        assert job["pause_requested_at"]
    job = client.post(f"/v1/jobs/{job_id}/resume").json()
    assert (job["status"], job["pause_requested_at"]) == ("running", None)


def test_a_job_about_to_be_cancelled_cannot_be_paused(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    client.post(f"/v1/jobs/{job_id}/cancel")
    assert_problem(client.post(f"/v1/jobs/{job_id}/pause"), 409, "illegal_transition")


def test_a_paused_job_can_be_cancelled_and_deleted(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.queued()
    client.post(f"/v1/jobs/{job_id}/pause")
    assert_problem(client.delete(f"/v1/jobs/{job_id}"), 409, "illegal_transition")
    assert client.post(f"/v1/jobs/{job_id}/cancel").json()["status"] == "cancelled"
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204


def test_finished_jobs_cannot_be_paused_or_resumed(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.succeeded()
    for verb in ("pause", "resume", "retry"):
        assert_problem(client.post(f"/v1/jobs/{job_id}/{verb}"), 409, "illegal_transition")


def test_control_requests_are_forced_when_the_worker_is_dead(client: TestClient, jobs: Jobs, database: Database) -> None:
    cancelled = jobs.running()
    client.post(f"/v1/jobs/{cancelled}/cancel")
    paused = jobs.running()
    factories.expire_leases(database, cancelled, paused)
    job = client.post(f"/v1/jobs/{cancelled}/cancel").json()
    assert job["status"] == "cancelled"
    assert client.post(f"/v1/jobs/{paused}/pause").json()["status"] == "paused"
    assert factories.recorded_events(database, paused)[-1][1] == {
        "status": "paused",
        "reason": "requested",
        "forced": "worker_lost",
    }


def test_retry_is_a_new_job_of_the_same_spec(client: TestClient, jobs: Jobs, database: Database) -> None:
    body = {"model": "m", "task": "rte", "seed": 7, "metadata": {"team": "a"}, "priority": 3, "max_duration": 60}
    first = client.post("/v1/jobs", json=body).json()
    assert_problem(client.post(f"/v1/jobs/{first['id']}/retry"), 409, "illegal_transition")
    client.post(f"/v1/jobs/{first['id']}/cancel")
    answer = client.post(f"/v1/jobs/{first['id']}/retry")
    again = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{again['id']}"
    assert (again["status"], again["retried_from"], again["attempt"]) == ("queued", first["id"], 0)
    for field in ("spec", "metadata", "priority", "max_duration"):
        assert again[field] == first[field]
    assert factories.recorded_events(database, again["id"]) == [("created", {"status": "queued", "retried_from": first["id"]})]
    assert client.post(f"/v1/jobs/{first['id']}/retry").json()["id"] == again["id"]
    client.post(f"/v1/jobs/{again['id']}/cancel")
    assert client.post(f"/v1/jobs/{first['id']}/retry").json()["id"] not in (first["id"], again["id"])
    assert client.delete(f"/v1/jobs/{first['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{again['id']}").json()["retried_from"] is None


def test_retry_of_a_failed_job(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.running()
    jobs.fail(job_id)
    assert client.post(f"/v1/jobs/{job_id}/retry").status_code == 202


def test_files_of_a_dead_worker_are_deleted_when_the_job_ends(client: TestClient, jobs: Jobs, database: Database) -> None:
    from service.db.models import Artifact

    job_id = jobs.running()
    with database.write() as session:
        session.add(Artifact(job_id=job_id, attempt=1, name="half", media_type="x/y", size=9, sha256="0" * 64, chunk_bytes=4))
    with database.write() as session:
        claims.cancel(session, Fence(job_id, 1))
    with database.read() as session:
        assert session.query(Artifact).count() == 0
    assert client.get(f"/v1/jobs/{job_id}").json()["artifacts"] == []
