"""Loopback guard: a service without keys serves its own machine alone, and no page of another origin."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from service.settings import Settings
from tests.api.problems import assert_problem

HERE = "http://127.0.0.1:8000"


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.0.0.1"])
def test_names_of_this_machine(strict_client: TestClient, host: str) -> None:
    assert strict_client.get("/v1/tasks", headers={"Host": host}).status_code == 200
    own = {"Host": host, "Origin": f"http://{host}"}
    assert strict_client.get("/v1/tasks", headers=own).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1", "0.0.0.0", "", "[", "::1"]
)
def test_a_foreign_host_name_is_refused(strict_client: TestClient, host: str) -> None:
    for path in ("/v1/jobs", "/livez", "/openapi.json"):
        refused = assert_problem(strict_client.get(path, headers={"Host": host}), 403, "loopback_only")
        assert "ESPALIER_REQUIRE_KEYS" in refused["detail"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:8000"])
def test_a_page_of_another_origin_is_refused(strict_client: TestClient, origin: str) -> None:
    answer = strict_client.post("/v1/jobs/job_x/cancel", headers={"Origin": origin})
    assert origin in assert_problem(answer, 403, "loopback_only")["detail"]


def test_a_socket_that_other_machines_reach_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    """``uvicorn --host 0.0.0.0`` without the setting: refused for any host name."""
    folder = tmp_path_factory.mktemp("reached")
    with TestClient(create_app(Settings(data_dir=folder)), base_url="http://192.0.2.1:8000") as client:
        answer = client.get("/v1/tasks", headers={"Host": "127.0.0.1:8000"})
        assert "192.0.2.1" in assert_problem(answer, 403, "loopback_only")["detail"]


def test_with_keys_any_host_name_is_accepted(client_with: Callable[..., TestClient]) -> None:
    client = client_with(require_keys=True)
    headers = {"Host": "espalier.example", "Origin": "https://elsewhere.example"}
    assert client.get("/v1/tasks", headers=headers).status_code == 200
    assert_problem(client.get("/v1/jobs", headers=headers), 401, "key_missing")
