"""Probes: liveness needs nothing; readiness needs a database, its schema and a worker, and tolerates a broker that is down."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from api.responses import readiness
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.api.problems import assert_problem


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these tests changes what the probe finds."""
    monkeypatch.setattr(readiness, "MAX_AGE_SECONDS", 0.0)


def test_alive(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}


def test_ready_once_a_worker_lives(client: TestClient, jobs: Jobs) -> None:
    answer = client.get("/readyz")
    assert_problem(answer, 503, "no_worker")
    assert answer.headers["retry-after"]
    jobs.worker()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "broker": "ok", "workers": 1}}


def test_a_worker_that_is_silent_is_not_alive(client_with: Callable[..., TestClient], jobs: Jobs) -> None:
    jobs.worker()
    assert_problem(client_with(worker_seen_seconds=-1.0).get("/readyz"), 503, "no_worker")


def test_ready_but_degraded_without_a_broker(client_with: Callable[..., TestClient], jobs: Jobs) -> None:
    jobs.worker()
    answer = client_with(broker_url="redis://127.0.0.1:1/0").get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (200, "degraded")


def test_a_broker_that_answers(client_with: Callable[..., TestClient], jobs: Jobs, redis_url: str) -> None:
    jobs.worker()
    assert client_with(broker_url=redis_url).get("/readyz").json()["checks"]["broker"] == "ok"


def test_a_broker_folder_that_cannot_be_made(client: TestClient, jobs: Jobs, settings: Settings) -> None:
    jobs.worker()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / "broker").write_bytes(b"a file in its place")
    assert client.get("/readyz").json()["checks"]["broker"] == "degraded"
