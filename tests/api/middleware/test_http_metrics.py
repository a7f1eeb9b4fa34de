"""Latencies and requests in flight, by labels that no client can multiply."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from starlette.requests import ClientDisconnect

from api.middleware.http_metrics import HttpMetricsMiddleware
from tests.api.conftest import Jobs

COUNT = "espalier_http_request_seconds_count"


def counts(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    """Observed requests by route, method and status."""
    samples = [sample for family in registry.collect() for sample in family.samples if sample.name == COUNT]
    return {(sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value for sample in samples}


def registry_of(client: TestClient) -> CollectorRegistry:
    app: Any = client.app
    registry: CollectorRegistry = app.state.services.registry
    return registry


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def plain(registry: CollectorRegistry) -> Iterator[TestClient]:
    """An application of a few routes."""
    app = FastAPI()
    app.add_middleware(HttpMetricsMiddleware, registry=registry)

    @app.get("/flying")
    async def flying() -> float | None:
        return registry.get_sample_value("espalier_http_requests_in_flight")

    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError

    @app.get("/gone")
    async def gone(request: Request) -> None:
        raise ClientDisconnect

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_requests_are_counted_by_the_template_of_their_path(client: TestClient, jobs: Jobs) -> None:
    job_id = jobs.queued()
    client.get(f"/v1/jobs/{job_id}")
    client.get("/v1/jobs/job_unknown")
    client.head(f"/v1/jobs/{job_id}")
    client.delete("/v1/jobs")
    client.post("/v1/jobs", json={})
    assert counts(registry_of(client)) == {
        ("/v1/jobs/{job_id}", "GET", "2xx"): 2,  # HEAD is served as the GET
        ("/v1/jobs/{job_id}", "GET", "4xx"): 1,
        ("/v1/jobs", "DELETE", "4xx"): 1,
        ("/v1/jobs", "POST", "4xx"): 1,
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_client_cannot_add_time_series(client: TestClient) -> None:
    for i in range(20):
        client.get(f"/v1/{i}", headers={"Host": "127.0.0.1"})
        client.request(f"M{i}", f"/nothing/{i}")
        client.request(f"M{i}", f"/v1/jobs/job_{i}")
    assert counts(registry_of(client)) == {
        ("other", "GET", "4xx"): 20,
        ("other", "other", "4xx"): 20,
        ("/v1/jobs/{job_id}", "other", "4xx"): 20,
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_wait_that_was_asked_for_is_no_latency(client: TestClient, jobs: Jobs) -> None:
    path = f"/v1/jobs/{jobs.queued()}"
    assert client.get(path, headers={"Prefer": "wait=0.01"}).headers.get("preference-applied") is None
    assert client.get(path, headers={"Prefer": "wait=1"}).headers["preference-applied"] == "wait=1"
    assert counts(registry_of(client)) == {("/v1/jobs/{job_id}", "GET", "2xx"): 1}


def test_requests_in_flight_are_counted_while_they_last(plain: TestClient, registry: CollectorRegistry) -> None:
    assert plain.get("/flying").json() == 1
    plain.get("/bug")
    assert registry.get_sample_value("espalier_http_requests_in_flight") == 0


def test_bugs_are_5xx_and_clients_that_left_have_no_status(plain: TestClient, registry: CollectorRegistry) -> None:
    assert plain.get("/bug").status_code == 500
    plain.get("/gone")
    assert counts(registry) == {("/bug", "GET", "5xx"): 1, ("/gone", "GET", "499"): 1}
