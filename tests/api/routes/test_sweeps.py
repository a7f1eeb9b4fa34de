"""Sweeps over HTTP: refused as a whole or created as a whole, listed, cancelled, deleted."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs import commands
from tests.api.conftest import BODY, Jobs

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What differs between the databases is tested in tests/jobs."""
GRID: dict[str, Any] = {"base": BODY | {"max_steps": 50}, "methods": ["smp-s", "wanda"], "sparsities": [0.5, 0.9], "seeds": [1, 2]}


def test_a_grid_becomes_jobs(client: TestClient) -> None:
    answer = client.post("/v1/sweeps", json=GRID | {"base": GRID["base"] | {"metadata": {"table": "2"}, "priority": 3}})
    assert answer.status_code == 202, answer.text
    sweep = answer.json()
    assert answer.headers["location"] == f"/v1/sweeps/{sweep['id']}"
    assert client.get(answer.headers["location"]).json() == sweep
    assert (sweep["status"], sweep["progress"], sweep["jobs"]["queued"]) == ("active", 0.0, 8)
    assert (sweep["metadata"], sweep["base"]["priority"]) == ({"table": "2"}, 3)
    rows = sweep["results"]["rows"]
    assert [(row["method"], row["sparsity"], row["seed"]) for row in rows][:3] == [
        ("smp-s", 0.5, 1),
        ("smp-s", 0.5, 2),
        ("smp-s", 0.9, 1),
    ]
    jobs = client.get("/v1/jobs", params={"sweep": sweep["id"], "limit": 100}).json()["data"]
    assert {job["id"] for job in jobs} == {row["job_id"] for row in rows}
    for job in jobs:
        assert (job["sweep_id"], job["priority"], job["metadata"]) == (sweep["id"], 3, {"table": "2"})
        assert job["spec"]["max_steps"] == (50 if job["spec"]["method"] == "smp-s" else None)  # wanda does not train
    (listed,) = client.get("/v1/sweeps").json()["data"]
    assert listed == {name: value for name, value in sweep.items() if name != "results"}


@on_sqlite
def test_repeated_with_a_key_it_is_made_once(client: TestClient) -> None:
    first, again = (client.post("/v1/sweeps", json=GRID, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == again.json()
    assert len(client.get("/v1/sweeps").json()["data"]) == 1


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"base": BODY | {"max_steps": 1}}, "/base/max_steps", "(method smp-s, sparsity 0.5, seed 1)"),
        ({"base": BODY | {"pattern": "2:4"}}, "/sparsities/1", "(method smp-s, sparsity 0.9, seed 1)"),
        ({"base": BODY | {"prior": "wanda"}, "methods": ["smp-s", "l0"]}, "/base/prior", "(method l0, sparsity 0.5"),
        ({"base": BODY | {"task": "nope"}}, "/base/task", "unknown task"),
        ({"base": BODY | {"task": {"dataset": "d", "text": []}}}, "/base/task/text", "must not be empty"),
        ({"base": BODY | {"colour": "red"}}, "/base/colour", "there is no field colour"),
        ({"base": BODY | {"sparsity": 0.5}}, "/base/sparsity", "give sparsities, a list,"),
        ({"base": BODY | {"model": "org/../../x"}}, "/base/model", "neither a hub name"),
        ({"methods": ["smp-s", "nope"]}, "/methods/1", "one of"),
        ({"seeds": [1, 1]}, "/seeds", "each value may be named once"),
        ({"sparsities": []}, "/sparsities", "must not be empty"),
        ({"sparsities": ["0.5"]}, "/sparsities/0", "takes a number"),
        ({"baseline": False}, "/baseline", "takes a number"),
        ({"methods": ["wanda"]}, "/base/max_steps", "leave epochs and max_steps out"),
    ],
)
def test_one_bad_combination_refuses_all(strict_client: TestClient, change: Any, pointer: str, detail: str) -> None:
    there = strict_client.get("/v1/jobs").json()["data"]
    answer = strict_client.post("/v1/sweeps", json=GRID | change)
    assert answer.status_code == 422
    faults = {fault.get("pointer"): fault["detail"] for fault in answer.json()["errors"]}
    assert pointer in faults
    assert detail in faults[pointer]
    assert strict_client.get("/v1/jobs").json()["data"] == there
    assert strict_client.get("/v1/sweeps").json()["data"] == []


@on_sqlite
def test_limits(client_with: Callable[..., TestClient]) -> None:
    client = client_with(max_sweep_jobs=7, hub_enabled=False)
    answer = client.post("/v1/sweeps", json=GRID)
    assert (answer.status_code, answer.json()["code"]) == (422, "sweep_too_large")
    absent = client.post("/v1/sweeps", json=GRID | {"seeds": [1]})
    assert absent.json()["errors"][0]["pointer"] == "/base/model"


def test_cancel_retry_and_delete(client: TestClient, jobs: Jobs) -> None:
    made = client.post("/v1/sweeps", json=GRID).json()
    path = f"/v1/sweeps/{made['id']}"
    assert client.delete(path).json()["code"] == "sweep_not_ended"
    cancelled = client.post(f"{path}/cancel").json()
    assert (cancelled["status"], cancelled["jobs"]["cancelled"]) == ("ended", 8)
    first = cancelled["results"]["rows"][0]["job_id"]
    again = client.post(f"/v1/jobs/{first}/retry").json()
    assert again["sweep_id"] == made["id"]
    now = client.get(path).json()
    assert (now["status"], now["jobs"]["queued"], now["results"]["rows"][0]["job_id"]) == ("active", 1, again["id"])
    with jobs.database.write() as session:
        commands.request_cancel(session, again["id"])
    assert client.delete(path).status_code == 204
    assert client.get(path).json()["code"] == "sweep_not_found"
    assert client.get("/v1/jobs").json()["data"] == []
    assert client.get("/v1/sweeps/nonsense").json()["code"] == "sweep_not_found"
