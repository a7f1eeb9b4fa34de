"""Access log: a line for each request, with its route, owner, job and the request id of the response."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from service.access.api_keys import Scope
from service.db.engine import Database
from service.settings import Settings
from tests.api.conftest import BODY, Jobs, local
from tests.api.protected_app import Keyring
from tests.json_logs import logged


def access_line(lines: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [line for line in lines if line["logger"] == "api.access"]
    return found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_line_leads_from_the_response_to_owner_and_job(
    client_with: Callable[..., TestClient], jobs: Jobs, database: Database
) -> None:
    client, header = client_with(require_keys=True), Keyring(database).header_of("a")
    with logged() as lines:
        answer = client.post("/v1/jobs", json=BODY, headers=header)
    accepted, line = next(each for each in lines if each["event"] == "accepted"), access_line(lines)
    assert accepted["job_id"] == answer.json()["id"]
    assert accepted["request_id"] == line["request_id"] == answer.headers["X-Request-Id"]
    assert (line["owner"], line["key_id"][:4]) == (accepted["owner"], accepted["key_id"][:4]) == ("a", "key_")
    assert (line["method"], line["route"], line["path"], line["status"]) == ("POST", "/v1/jobs", "/v1/jobs", 202)
    assert line["duration_ms"] > 0
    assert "job_id" not in line

    with logged() as lines:
        client.get(f"/v1/jobs/{accepted['job_id']}?status=x", headers=header)
    line = access_line(lines)
    assert (line["route"], line["job_id"], line["level"]) == ("/v1/jobs/{job_id}", accepted["job_id"], "info")
    assert line["event"].startswith(f"GET /v1/jobs/{accepted['job_id']} 200 in")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_job_of_a_sweep_is_named(client: TestClient) -> None:
    with logged() as lines:
        client.post("/v1/sweeps", json={"base": BODY, "sparsities": [0.5, 0.9]})
    accepted = [line["job_id"] for line in lines if line["event"] == "accepted"]
    assert sorted(accepted) == sorted(job["id"] for job in client.get("/v1/jobs").json()["data"])


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/livez", ("debug", "/livez", 200)),
        ("GET", "/readyz", ("warning", "/readyz", 503)),
        ("GET", "/nothing", ("info", None, 404)),
        ("HEAD", "/v1/jobs/", ("info", "/v1/jobs", 200)),
        ("POST", "/livez", ("info", "/livez", 405)),
        ("GET", "/v1/jobs/job_0", ("info", "/v1/jobs/{job_id}", 404)),
    ],
)
def test_level_and_route(strict_client: TestClient, method: str, path: str, expected: tuple[str, str | None, int]) -> None:
    with logged() as lines:
        strict_client.request(method, path)
    line = access_line(lines)
    assert (line["level"], line.get("route"), line["status"]) == expected
    assert line["path"] == path


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_refusals_and_bugs_have_a_line_too(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, client_with: Callable[..., TestClient]
) -> None:
    with logged() as lines:
        client_with(require_keys=True).get("/v1/jobs", headers={"Authorization": "Bearer esp_" + "a" * 38})
    assert access_line(lines)["status"] == 401
    assert "aaaa" not in str(lines)

    reader = Keyring(database).header_of("a", Scope.READ)
    with logged() as lines:
        client_with(require_keys=True).post("/v1/jobs", json=BODY, headers=reader)
    assert (access_line(lines)["status"], access_line(lines)["owner"]) == (403, "a")

    monkeypatch.setattr("api.schemas.job_representation.views.load", lambda *_, **__: 1 / 0)
    with local(create_app(settings)) as broken, logged() as lines:
        answer = broken.get("/v1/jobs/job_0")
    line = access_line(lines)
    bug = next(each for each in lines if "exception" in each)
    assert (line["status"], line["level"]) == (500, "warning")
    assert bug["request_id"] == line["request_id"] == answer.headers["X-Request-Id"]
    assert bug["exception"].endswith("ZeroDivisionError: division by zero")
