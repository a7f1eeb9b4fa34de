"""Exports: submitted with a job, stored with its spec and repeated by a retry; or later, made by a job of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.db.engine import Database
from service.db.models import Job
from service.jobs import claims, queries
from service.jobs.fence import Fence
from tests import toy_architectures
from tests.api.conftest import BODY, Jobs
from tests.api.problems import assert_problem
from tests.fake_hub import FakeHub, serving
from tests.model_folders import make_model


def test_exports_are_stored_with_the_spec_and_repeated_by_a_retry(client: TestClient, jobs: Jobs, database: Database) -> None:
    job = client.post("/v1/jobs", json={**BODY, "exports": ["compact", "onnx-int8"]}).json()
    assert job["exports"] == ["compact", "onnx-int8"]
    assert "exports" not in job["spec"]
    assert client.get(f"/v1/jobs/{job['id']}").json()["exports"] == ["compact", "onnx-int8"]
    assert client.post("/v1/jobs", json=BODY).json()["exports"] == []
    client.post(f"/v1/jobs/{job['id']}/cancel")
    again = client.post(f"/v1/jobs/{job['id']}/retry").json()
    assert again["exports"] == ["compact", "onnx-int8"]
    with database.read() as session:
        assert queries.get(session, again["id"]).exports == ["compact", "onnx-int8"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"exports": ["pickle"]}, "/exports/0"),
        ({"exports": ["csr", "csr"]}, "/exports"),
        ({"exports": ["onnx", "semi-structured"]}, "/exports/1"),
    ],
    ids=["unknown", "twice", "pattern"],
)
def test_impossible_exports_are_refused_by_their_index(client: TestClient, change: dict[str, Any], pointer: str) -> None:
    (fault,) = assert_problem(client.post("/v1/jobs", json=BODY | change), 422, "invalid_request")["errors"]
    assert fault["pointer"] == pointer


def test_semi_structured_goes_with_two_of_four(client: TestClient) -> None:
    body = {**BODY, "pattern": "2:4", "exports": ["semi-structured"]}
    assert client.post("/v1/jobs", json=body).status_code == 202


def test_a_local_model_of_an_unsupported_type_cannot_be_compacted(client_with: Callable[..., TestClient], tmp_path: Path) -> None:
    toy_architectures.make_model(tmp_path / "models" / "small", "albert")
    client = client_with(models_dir=tmp_path / "models")
    body = {**BODY, "model": "small"}
    (fault,) = assert_problem(client.post("/v1/jobs", json={**body, "exports": ["compact"]}), 422, "export_unsupported")["errors"]
    assert fault["pointer"] == "/exports/0"
    assert client.post("/v1/jobs", json={**body, "exports": ["onnx", "csr"]}).status_code == 202


def test_a_mean_over_tokens_has_no_stock_folder(
    client_with: Callable[..., TestClient], jobs: Jobs, database: Database, tmp_path: Path
) -> None:
    for shape in ("mpnet", "modernbert"):
        toy_architectures.make_model(tmp_path / "models" / shape, shape)
    client, pruned = client_with(models_dir=tmp_path / "models"), jobs.succeeded()
    body = {**BODY, "model": "mpnet", "head": "classifier", "exports": ["onnx", "stock"]}
    (fault,) = assert_problem(client.post("/v1/jobs", json={**body, "pooling": "mean"}), 422, "export_unsupported")["errors"]
    assert fault["pointer"] == "/exports/1"
    for more in ({"pooling": "first"}, {"pooling": "mean", "exports": ["onnx"]}, {"pooling": "mean", "model": "modernbert"}):
        assert client.post("/v1/jobs", json=body | more).status_code == 202
    with database.write() as session:
        job = session.get_one(Job, pruned)
        job.spec = job.spec | {"model": "mpnet", "head": "classifier", "pooling": "mean"}
    refused = client.post(f"/v1/jobs/{pruned}/exports", json={"formats": ["stock"]})
    assert assert_problem(refused, 422, "export_unsupported")["errors"][0]["pointer"] == "/formats/0"
    assert client.post(f"/v1/jobs/{pruned}/exports", json={"formats": ["onnx"]}).status_code == 202


def test_a_mean_over_tokens_of_a_hub_model_has_no_stock_folder(
    client_with: Callable[..., TestClient], jobs: Jobs, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = FakeHub()
    hub.publish("org/theirs", make_model(tmp_path / "theirs"))
    client, pruned = client_with(hub_enabled=True), jobs.succeeded()
    body = {**BODY, "model": "org/theirs", "head": "classifier", "pooling": "mean", "exports": ["stock"]}
    with database.write() as session:
        job = session.get_one(Job, pruned)
        job.spec = job.spec | {name: body[name] for name in ("model", "head", "pooling")}
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert client.post("/v1/jobs", json=body).status_code == 202, "the trainer looks where no hub answers"
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        assert_problem(client.post("/v1/jobs", json=body), 422, "export_unsupported")
        assert_problem(client.post(f"/v1/jobs/{pruned}/exports", json={"formats": ["stock"]}), 422, "export_unsupported")
        assert client.post("/v1/jobs", json=body | {"pooling": "first"}).status_code == 202
        assert client.post("/v1/jobs", json=body | {"model": "org/none"}).status_code == 202


CSR = {"formats": ["csr"]}


def test_a_finished_job_gets_a_job_that_exports_it(
    client: TestClient, jobs: Jobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[object] = []
    monkeypatch.setattr("api.responses.job_documents.broker.notify_workers", rung.append)
    pruned = jobs.succeeded()
    with database.write() as session:
        job = session.get_one(Job, pruned)
        job.spec = job.spec | {"devices": 2}
    answer = client.post(f"/v1/jobs/{pruned}/exports", json={"formats": ["csr", "onnx"], "priority": 3})
    assert answer.status_code == 202
    export = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{export['id']}"
    assert (export["export_of"], export["exports"], export["priority"]) == (pruned, ["csr", "onnx"], 3)
    assert export["spec"] == client.get(f"/v1/jobs/{pruned}").json()["spec"] | {"devices": 1}
    assert client.get(f"/v1/jobs/{export['id']}").json() == export
    assert len(rung) == 1
    again = client.post(f"/v1/jobs/{pruned}/exports", json=CSR, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"]) == (202, export["id"])
    with database.write() as session:
        assert claims.claim(session, worker_id="w", lease_seconds=600)
    for name in ("export-csr.zip", "export-onnx.zip", "exports.json"):
        jobs.artifact(export["id"], b"made", name)
    with database.write() as session:
        claims.succeed(session, Fence(export["id"], 1), result={"exports": []}, mask_artifact_id=None)
    there = client.post(f"/v1/jobs/{pruned}/exports", json=CSR)
    assert (there.status_code, there.json()["id"], there.json()["result"]) == (200, export["id"], {"exports": []})
    assert there.headers["location"] == f"/v1/jobs/{export['id']}"
    replayed = client.post(f"/v1/jobs/{pruned}/exports", json=CSR, headers={"Idempotency-Key": "k"})
    assert (replayed.status_code, replayed.headers["idempotency-replayed"]) == (202, "true")
    assert len(rung) == 2


def test_exports_are_listed_under_their_job_and_not_among_pruning_jobs(client: TestClient, jobs: Jobs) -> None:
    pruned = jobs.succeeded()
    ids = [client.post(f"/v1/jobs/{pruned}/exports", json={"formats": [name]}).json()["id"] for name in ("csr", "onnx")]

    def listed(path: str, **query: str) -> list[str]:
        return [job["id"] for job in client.get(path, params=query).json()["data"]]

    assert listed(f"/v1/jobs/{pruned}/exports") == ids[::-1]
    first = client.get(f"/v1/jobs/{pruned}/exports", params={"limit": "1"}).json()
    assert first["has_more"]
    assert listed(f"/v1/jobs/{pruned}/exports", after=first["next_cursor"]) == ids[:1]
    assert listed("/v1/jobs") == [pruned]
    assert listed("/v1/jobs", kind="export") == ids[::-1]
    metrics = client.get("/metrics").text
    assert 'espalier_export_jobs{status="queued"} 2.0' in metrics
    assert 'espalier_job_duration_seconds_count{status="succeeded"} 1.0' in metrics
    assert client.delete(f"/v1/jobs/{pruned}").status_code == 204
    assert_problem(client.get(f"/v1/jobs/{ids[0]}"), 404, "job_not_found")
    assert_problem(client.get(f"/v1/jobs/{pruned}/exports"), 404, "job_not_found")


def test_a_job_without_a_mask_cannot_be_exported(client: TestClient, jobs: Jobs, database: Database) -> None:
    assert_problem(client.post("/v1/jobs/job_0/exports", json=CSR), 404, "job_not_found")
    pruned = jobs.succeeded()
    export = client.post(f"/v1/jobs/{pruned}/exports", json=CSR).json()["id"]
    refusal = assert_problem(client.post(f"/v1/jobs/{export}/exports", json=CSR), 409, "job_has_no_mask")
    assert pruned in refusal["detail"]
    with database.write() as session:
        claims.claim(session, worker_id="w", lease_seconds=600)
        claims.succeed(session, Fence(export, 1), result={}, mask_artifact_id=None)
    assert_problem(client.post(f"/v1/jobs/{export}/exports", json=CSR), 409, "job_has_no_mask")
    running = jobs.running()
    assert_problem(client.post(f"/v1/jobs/{running}/exports", json=CSR), 409, "job_not_succeeded")
    with database.write() as session:  # its weights are past their retention
        session.get_one(Job, pruned).result = {"weights_changed": True}
    assert_problem(client.post(f"/v1/jobs/{pruned}/exports", json=CSR), 404, "artifact_not_found")


@pytest.mark.parametrize(
    ("formats", "code", "pointer"),
    [
        (["pickle"], "invalid_request", "/formats/0"),
        ([], "invalid_request", "/formats"),
        (["csr", "csr"], "invalid_request", "/formats"),
        (["onnx", "semi-structured"], "export_unsupported", "/formats/1"),
    ],
    ids=["unknown", "none", "twice", "pattern"],
)
def test_impossible_formats_are_refused_by_their_index(
    client: TestClient, jobs: Jobs, formats: list[str], code: str, pointer: str
) -> None:
    answer = client.post(f"/v1/jobs/{jobs.succeeded()}/exports", json={"formats": formats})
    (fault,) = assert_problem(answer, 422, code)["errors"]
    assert fault["pointer"] == pointer


def test_export_jobs_count_against_the_quota(client_with: Callable[..., TestClient], jobs: Jobs) -> None:
    pruned = jobs.succeeded()
    full = client_with(max_stored_bytes=4)
    assert_problem(full.post(f"/v1/jobs/{pruned}/exports", json=CSR), 507, "quota_exceeded")
