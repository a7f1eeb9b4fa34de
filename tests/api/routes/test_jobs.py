"""Job routes: submit, list, get, cancel, delete; the responses, and what the database holds afterwards."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from api.app import create_app
from api.errors.failures import FAILURES
from pruning.quality.catalog import WARNINGS
from pruning.spec.schema import PruningSpec
from service.access import quotas
from service.db.engine import Database
from service.jobs import claims, queries
from service.jobs.fence import Fence
from service.settings import Settings
from tests.api.conftest import BODY, Jobs, local
from tests.api.problems import assert_problem


def test_the_least_body_is_accepted_and_resolved(client: TestClient, database: Database) -> None:
    answer = client.post("/v1/jobs", json=BODY)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["spec"] == PruningSpec(**BODY).model_dump(mode="json")
    assert PruningSpec(**job["spec"]).epochs == 12
    assert (job["status"], job["attempt"], job["artifacts"], job["error"]) == ("queued", 0, [], None)
    assert job["progress"] == {"step": 0, "total_steps": None, "eta_seconds": None}
    assert job["created_at"].endswith("Z")
    assert client.get(answer.headers["location"]).json() == job
    with database.read() as session:
        assert queries.get(session, job["id"]).spec == job["spec"]


@pytest.mark.parametrize(
    "change",
    [
        {"max_steps": 100},
        {"preset": "upstream", "task": "rte"},
        {"preset": "upstream", "task": "rte", "max_steps": 50},
        {"preset": "paper", "sparsity": 0},
        {"task": {"dataset": "org/set", "text": ["a", "b"], "label": "y", "label_words": ["name", "custom"]}},
    ],
)
def test_a_resolved_spec_can_be_sent_again(client: TestClient, change: dict[str, Any]) -> None:
    first = client.post("/v1/jobs", json=BODY | change)
    assert first.status_code == 202, first.text
    spec = first.json()["spec"]
    assert client.post("/v1/jobs", json=spec).json()["spec"] == spec


def test_a_budget_too_small_for_the_sparsity_is_accepted_with_a_warning(client: TestClient) -> None:
    short = client.post("/v1/jobs", json=BODY | {"max_steps": 300, "batch_size": 8, "sparsity": 0.97})
    assert short.status_code == 202
    (warning,) = short.json()["warnings"]
    assert warning["code"] == "budget_small"
    assert "2400 " in warning["message"]
    assert warning["remedy"] == WARNINGS["budget_small"].remedy
    assert client.get(short.headers["location"]).json()["warnings"] == [warning]
    enough = BODY | {"max_steps": 1200, "batch_size": 32, "sparsity": 0.97}
    assert client.post("/v1/jobs", json=enough).json()["warnings"] == []


def test_every_job_of_a_sweep_has_its_own_warnings(client: TestClient) -> None:
    base = BODY | {"max_steps": 300, "batch_size": 8}
    assert client.post("/v1/sweeps", json={"base": base, "sparsities": [0.5, 0.9]}).status_code == 202
    jobs = client.get("/v1/jobs").json()["data"]
    warned = {job["spec"]["sparsity"]: [warning["code"] for warning in job["warnings"]] for job in jobs}
    assert warned == {0.5: [], 0.9: ["budget_small"]}


def test_the_jobs_own_fields_stay_out_of_the_spec(client: TestClient, database: Database) -> None:
    own = {"metadata": {"team": "nlp", "name": "ä"}, "priority": -7, "max_duration": 60.5}
    job = client.post("/v1/jobs", json=BODY | own).json()
    assert {name: job[name] for name in own} == own
    assert not own.keys() & job["spec"].keys()
    with database.read() as session:
        row = queries.get(session, job["id"])
    assert (row.user_metadata, row.priority, row.max_duration) == tuple(own.values())


def test_workers_are_notified_after_the_row_is_committed(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def ring(_: object) -> bool:
        with database.read() as session:
            seen.append(len(queries.page(session, limit=5)[0]))
        return False  # a lost notification makes no difference

    monkeypatch.setattr("api.routes.jobs.broker.notify_workers", ring)
    assert client.post("/v1/jobs", json=BODY).status_code == 202
    assert seen == [1]


def test_submitting_works_without_a_broker(client_with: Callable[..., TestClient]) -> None:
    client = client_with(broker_url="redis://127.0.0.1:1/0")
    assert client.post("/v1/jobs", json=BODY).status_code == 202


def test_nothing_is_accepted_when_the_commit_fails(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[object] = []
    monkeypatch.setattr("api.routes.jobs.broker.notify_workers", rung.append)

    def refused(_: object) -> None:
        raise ZeroDivisionError

    engine = client.app.state.services.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "commit", refused)
    assert_problem(client.post("/v1/jobs", json=BODY), 500, "internal_error")
    assert rung == []
    event.remove(engine, "commit", refused)
    assert client.get("/v1/jobs").json()["data"] == []


def test_pages_neither_repeat_nor_skip(client: TestClient, jobs: Jobs) -> None:
    ids = [jobs.queued() for _ in range(7)]
    seen: list[str] = []
    after: str | None = None
    for length in (3, 3, 1):
        query = {"limit": "3"} | ({"after": after} if after else {})
        page = client.get("/v1/jobs", params=query).json()
        assert len(page["data"]) == length
        seen += [job["id"] for job in page["data"]]
        after = page["next_cursor"]
        assert page["has_more"] == (after is not None)
        if length == 3:
            jobs.queued()  # newer than every page: it moves nothing
    assert after is None
    assert seen == ids[::-1]


def test_filters(client: TestClient, jobs: Jobs) -> None:
    running = jobs.running(task="mrpc", method="smp-l")
    queued = jobs.queued(model="org/other")
    custom = jobs.queued(task={"dataset": "d", "text": ["t"], "label_words": ["a", "b"]})

    def found(**query: str) -> set[str]:
        return {job["id"] for job in client.get("/v1/jobs", params=query).json()["data"]}

    assert found() == {running, queued, custom}
    assert found(status="running") == found(task="mrpc") == found(method="smp-l") == {running}
    assert found(model="org/other") == found(model="org/other", status="queued", task="sst2") == {queued}
    assert found(model="org/other", status="failed") == set()


def test_a_running_job(client: TestClient, jobs: Jobs, database: Database) -> None:
    job_id = jobs.running()
    with database.write() as session:
        claims.set_phase(session, Fence(job_id, 1), "training")
        claims.set_progress(session, Fence(job_id, 1), step=3, total_steps=10, eta_seconds=1.5, metrics={"loss": 0.5})
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["phase"], job["attempt"]) == ("running", "training", 1)
    assert job["progress"] == {"step": 3, "total_steps": 10, "eta_seconds": 1.5}
    assert job["metrics"] == {"loss": 0.5}
    assert job["started_at"]
    assert job["finished_at"] is None


def test_finished_jobs(client: TestClient, jobs: Jobs) -> None:
    done = client.get(f"/v1/jobs/{jobs.succeeded()}").json()
    assert (done["status"], done["result"]) == ("succeeded", {"final": {"accuracy": 0.9}})
    (artifact,) = done["artifacts"]
    assert (artifact["name"], artifact["bytes"]) == ("mask.safetensors", 4)
    assert client.get(artifact["url"]).content == b"mask"
    failing = jobs.running()
    jobs.fail(failing)
    failed = client.get(f"/v1/jobs/{failing}").json()
    assert failed["error"] == {
        "code": "diverged",
        "message": "no",
        "param": "seed",
        "kind": "user",
        "retryable": False,
        "remedy": FAILURES["diverged"].remedy,
    }
    listed = {job["id"]: job for job in client.get("/v1/jobs").json()["data"]}
    assert listed == {done["id"]: done, failing: failed}


def test_cancel(client: TestClient, jobs: Jobs) -> None:
    running = jobs.running()
    for _ in range(2):
        job = client.post(f"/v1/jobs/{running}/cancel").json()
        assert job["status"] == "running"
        assert job["cancel_requested_at"]
    queued = jobs.queued()
    for _ in range(2):
        job = client.post(f"/v1/jobs/{queued}/cancel").json()
        assert job["status"] == "cancelled"
        assert job["finished_at"]
    assert_problem(client.post("/v1/jobs/job_0/cancel"), 404, "job_not_found")


def test_a_job_that_succeeded_cannot_be_cancelled(client: TestClient, jobs: Jobs) -> None:
    assert_problem(client.post(f"/v1/jobs/{jobs.succeeded()}/cancel"), 409, "illegal_transition")


def test_a_paused_job_says_until_when(client_with: Callable[..., TestClient], jobs: Jobs) -> None:
    client = client_with(paused_days=2)
    job_id = jobs.queued()
    assert client.get(f"/v1/jobs/{job_id}").json()["paused_until"] is None
    paused = client.post(f"/v1/jobs/{job_id}/pause").json()
    with jobs.database.read() as session:
        until = queries.get(session, job_id).updated_at + timedelta(days=2)
    assert datetime.fromisoformat(paused["paused_until"]) == until
    assert client.get("/v1/jobs").json()["data"] == [paused]
    assert client.post(f"/v1/jobs/{job_id}/resume").json()["paused_until"] is None


def test_a_full_quota_refuses_new_jobs_until_something_is_deleted(client_with: Callable[..., TestClient], jobs: Jobs) -> None:
    done = jobs.succeeded()
    jobs.fail(failed := jobs.running())
    with jobs.database.read() as session:
        stored = quotas.stored_bytes(session)
    client = client_with(max_stored_bytes_per_owner=stored)
    sweep = {"base": BODY, "sparsities": [0.5, 0.9]}
    for path, body in (("/v1/jobs", BODY), (f"/v1/jobs/{failed}/retry", None), ("/v1/sweeps", sweep)):
        refusal = assert_problem(client.post(path, json=body), 507, "quota_exceeded")
        assert f"local may store {stored} bytes" in refusal["detail"]
    assert [job["id"] for job in client.get("/v1/jobs").json()["data"]] == [failed, done]
    assert client.delete(f"/v1/jobs/{done}").status_code == 204
    assert client.post("/v1/jobs", json=BODY).status_code == 202


def test_delete(client: TestClient, jobs: Jobs) -> None:
    done = jobs.succeeded()
    running = jobs.running()
    assert_problem(client.delete(f"/v1/jobs/{running}"), 409, "illegal_transition")
    answer = client.delete(f"/v1/jobs/{done}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(client.delete(f"/v1/jobs/{done}"), 404, "job_not_found")
    assert_problem(client.get(f"/v1/jobs/{done}/artifacts/mask.safetensors"), 404, "job_not_found")


def test_settings_come_from_the_environment(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("ESPALIER_DATA_DIR", str(tmp_path))
    with local(create_app()) as client:
        assert client.get("/v1/jobs").json() == {"data": [], "has_more": False, "next_cursor": None}


def test_a_spec_is_of_limited_size_in_jobs_and_sweeps(client: TestClient) -> None:
    """No quota counts specs, and a list shows a hundred of them."""
    long = [f"{number:04} {'x' * 90}" for number in range(5001)]
    teacher = BODY | {"teacher": "t"}
    for labels, code in ((long, "too_long"), (long[:5000], "spec_too_large")):
        for body in (teacher | {"teacher_labels": labels}, BODY | {"label_words": labels}):
            if code == "spec_too_large" and "label_words" in body:
                continue
            one = client.post("/v1/jobs", json=body)
            many = client.post("/v1/sweeps", json={"base": body, "sparsities": [0.5, 0.9]})
            assert (one.status_code, many.status_code) == (422, 422), one.text
            assert code in one.text
    assert client.get("/v1/jobs").json()["data"] == []
