"""Results of a sweep over HTTP: the table and the figure while its jobs run."""

import csv
import io

import pytest
from fastapi.testclient import TestClient

from service.db.models import LOCAL
from service.jobs import claims
from service.jobs.fence import Fence
from tests.api.conftest import BODY, Jobs
from tests.api.problems import assert_problem


def finish(client: TestClient, jobs: Jobs, accuracy: float) -> None:
    """Let the best queued job succeed."""
    with jobs.database.write() as session:
        job = claims.claim(session, worker_id="w", lease_seconds=600)
    assert job is not None
    mask = jobs.artifact(job.id, b"mask")
    result = {"primary_metric": "accuracy", "before": {"accuracy": 0.5}, "final": {"accuracy": accuracy}}
    with jobs.database.write() as session:
        claims.succeed(session, Fence(job.id, 1), result=result | {"remaining": 0.1}, mask_artifact_id=mask)


GRID = {"base": BODY | {"max_steps": 50}, "methods": ["smp-s"], "sparsities": [0.9], "seeds": [1, 2], "baseline": 0.93}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_results_and_figures_of_an_unfinished_sweep(client: TestClient, jobs: Jobs) -> None:
    made = client.post("/v1/sweeps", json=GRID).json()
    path = f"/v1/sweeps/{made['id']}"
    empty = client.get(f"{path}/plot.svg")
    assert "no job has succeeded yet" in empty.text
    finish(client, jobs, 0.8)
    seen = client.get(path).json()
    assert (seen["status"], seen["progress"], seen["jobs"]["succeeded"]) == ("active", 0.5, 1)
    results = client.get(f"{path}/results").json()
    assert results == seen["results"]
    assert (results["metric"], results["dense"], results["baseline"]) == ("accuracy", 0.5, 0.93)
    assert [(mean["runs"], mean["metric"]) for mean in results["means"]] == [(1, 0.8)]
    rows = client.get(f"{path}/results", params={"format": "csv"})
    assert rows.headers["content-type"].startswith("text/csv")
    table = list(csv.DictReader(io.StringIO(rows.text)))
    assert sorted((row["metric_name"], row["status"], row["metric"]) for row in table) == [
        ("accuracy", "queued", ""),
        ("accuracy", "succeeded", "0.8"),
    ]
    svg = client.get(f"{path}/plot.svg")
    assert "1 of 2 jobs ended" in svg.text
    assert svg.headers["etag"] != empty.headers["etag"]
    assert svg.headers["content-security-policy"].startswith("default-src 'none'")
    same = client.get(f"{path}/plot.svg", headers={"If-None-Match": svg.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert client.get(f"{path}/plot.png").content.startswith(b"\x89PNG")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_figures_beyond_an_owners_share_are_refused_at_once(client: TestClient) -> None:
    path = f"/v1/sweeps/{client.post('/v1/sweeps', json=GRID).json()['id']}/plot.svg"
    slots = client.app.state.services.figure_slots  # type: ignore[attr-defined]  # a FastAPI application
    assert slots.acquire(LOCAL)
    assert client.get(path).status_code == 200
    assert slots.acquire(LOCAL)
    assert_problem(client.get(path), 503, "figures_busy")
    assert slots.acquire("another owner"), "one owner took the slots of all"
    slots.release(LOCAL)
    slots.release("another owner")
    assert client.get(path).status_code == 200
