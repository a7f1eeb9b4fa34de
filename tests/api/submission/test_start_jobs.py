"""Jobs that start from another's mask: what of that job is checked at submission, by a dry run, a sweep and a retry."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from service.db.models import Job
from service.operations import deletion
from tests.api.conftest import BODY, Jobs
from tests.api.problems import Response, assert_problem

FURTHER = {**BODY, "sparsity": 0.97}


def fault(answer: Response, code: str) -> dict[str, Any]:
    (found,) = assert_problem(answer, 422, code)["errors"]
    assert found["code"] == code
    return dict(found)


def test_a_job_starts_from_one_that_succeeded(client: TestClient, jobs: Jobs) -> None:
    start = jobs.succeeded()
    job = client.post("/v1/jobs", json={**FURTHER, "init_from": start})
    assert job.status_code == 202, job.text
    assert job.json()["spec"]["init_from"] == start
    assert client.post("/v1/jobs", json=BODY).json()["spec"]["init_from"] is None
    dry = client.post("/v1/jobs", params={"dry_run": "true"}, json={**FURTHER, "init_from": start}).json()
    assert "start mask" in dry["checks"]
    grid = {"base": {**BODY, "init_from": start}, "sparsities": [0.95, 0.97]}
    sweep = client.post("/v1/sweeps", json=grid).json()["id"]
    listed = client.get("/v1/jobs", params={"sweep": sweep}).json()["data"]
    assert [each["spec"]["init_from"] for each in listed] == [start, start]


@pytest.mark.slow
def test_what_is_no_mask_of_ones_own_is_refused(client: TestClient, jobs: Jobs) -> None:
    others = jobs.succeeded()
    with jobs.database.write() as session:
        session.execute(update(Job).where(Job.id == others).values(owner="other"))
    queued = jobs.queued()
    wrong = {others: "job_not_found", "job_" + "0" * 26: "job_not_found", queued: "job_not_succeeded", "0" * 64: "start_invalid"}
    for name, code in wrong.items():
        assert fault(client.post("/v1/jobs", json={**FURTHER, "init_from": name}), code)["pointer"] == "/init_from"
    grid = {"base": {**BODY, "init_from": queued}, "sparsities": [0.97]}
    assert fault(client.post("/v1/sweeps", json=grid), "job_not_succeeded")["pointer"] == "/base/init_from"
    (malformed,) = assert_problem(client.post("/v1/jobs", json={**BODY, "init_from": "last"}), 422, "invalid_request")["errors"]
    assert (malformed["code"], malformed["pointer"]) == ("start_invalid", "/init_from")


def test_a_job_that_exports_has_no_mask(client: TestClient, jobs: Jobs) -> None:
    start = jobs.succeeded()
    export = client.post(f"/v1/jobs/{start}/exports", json={"formats": ["csr"]}).json()["id"]
    found = fault(client.post("/v1/jobs", json={**FURTHER, "init_from": export}), "start_missing")
    assert start in found["detail"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "roberta-base"}, "base_mismatch"),
        ({"head": "classifier"}, "base_mismatch"),
        ({"pattern": "2:4", "sparsity": 0.5}, "pattern_unfit"),
    ],
)
def test_another_model_head_or_pattern_is_refused(client: TestClient, jobs: Jobs, change: dict[str, Any], code: str) -> None:
    start = jobs.succeeded()
    assert fault(client.post("/v1/jobs", json={**FURTHER, "init_from": start, **change}), code)["pointer"] == "/init_from"


def test_a_retry_asks_for_the_start_again(client: TestClient, jobs: Jobs) -> None:
    start = jobs.succeeded()
    job = client.post("/v1/jobs", json={**FURTHER, "init_from": start}).json()["id"]
    client.post(f"/v1/jobs/{job}/cancel")
    deletion.delete_job(jobs.database, start)
    assert_problem(client.post(f"/v1/jobs/{job}/retry"), 404, "job_not_found")
