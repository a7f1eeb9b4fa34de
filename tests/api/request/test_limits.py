"""Limits per caller: token buckets by a clock that the test sets, and queued jobs."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.request.token_buckets import RateLimitResult, TokenBuckets
from service.db.engine import Database
from service.db.models import Job
from tests.api.conftest import BODY
from tests.api.problems import assert_problem
from tests.api.protected_app import Keyring


class Clock:
    """Stands still."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_evenly() -> None:
    clock = Clock()
    buckets = TokenBuckets(6, clock)  # one in ten seconds
    assert buckets.consume("a") == RateLimitResult(allowed=True, remaining=5, retry_after=0, reset_after=10)
    assert [buckets.consume("a").allowed for _ in range(6)] == [True] * 5 + [False]  # type: ignore[union-attr]
    assert buckets.consume("a") == RateLimitResult(allowed=False, remaining=0, retry_after=10, reset_after=60)
    assert buckets.consume("b") == RateLimitResult(allowed=True, remaining=5, retry_after=0, reset_after=10)
    clock.now = 9.5
    assert buckets.consume("a") == RateLimitResult(allowed=False, remaining=0, retry_after=1, reset_after=51)
    clock.now = 10
    assert buckets.consume("a") == RateLimitResult(allowed=True, remaining=0, retry_after=10, reset_after=60)
    clock.now = 1e6
    assert buckets.consume("a") == RateLimitResult(allowed=True, remaining=5, retry_after=0, reset_after=10)
    assert TokenBuckets(None).consume("a") is None


def test_threads_get_no_more_tokens_than_there_are() -> None:
    buckets, granted = TokenBuckets(50, Clock()), list[bool]()

    def ask() -> None:
        granted.extend(buckets.consume("a").allowed for _ in range(20))  # type: ignore[union-attr]

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 50


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_key_with_too_many_requests(client_with: Callable[..., TestClient], database: Database) -> None:
    keys = Keyring(database)
    client = client_with(require_keys=True, requests_per_minute=3)
    for left in (2, 1, 0):
        answer = client.get("/v1/jobs", headers=keys.header_of("a"))
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"requests";q=3;w=60'
        assert answer.headers["RateLimit"].startswith(f'"requests";r={left};t=')
    refused = client.get("/v1/jobs", headers=keys.header_of("a"))
    assert assert_problem(refused, 429, "too_many_requests")["kind"] == "system"
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert refused.headers["RateLimit"].startswith('"requests";r=0;')
    assert client.get("/v1/jobs", headers=keys.header_of("b")).status_code == 200
    assert "RateLimit" not in client.get("/livez").headers


def test_an_owner_with_too_many_queued_jobs(client_with: Callable[..., TestClient], database: Database) -> None:
    keys = Keyring(database)
    client = client_with(require_keys=True, max_queued_jobs_per_owner=2)

    def submit(owner: str) -> Any:
        return client.post("/v1/jobs", json=BODY, headers=keys.header_of(owner))

    first = submit("a").json()["id"]
    assert submit("a").status_code == 202
    refused = submit("a")
    assert " 2 " in assert_problem(refused, 429, "too_many_queued_jobs")["detail"]
    assert refused.headers["Retry-After"] == "30"
    assert submit("b").status_code == 202
    assert client.post(f"/v1/jobs/{first}/cancel", headers=keys.header_of("a")).status_code == 200
    assert submit("a").status_code == 202
    assert_problem(client.post(f"/v1/jobs/{first}/retry", headers=keys.header_of("a")), 429, "too_many_queued_jobs")


def test_paused_jobs_count_as_queued_ones(client_with: Callable[..., TestClient], database: Database) -> None:
    keys = Keyring(database)
    client = client_with(require_keys=True, max_queued_jobs_per_owner=2)

    def post(path: str, **body: Any) -> Any:
        return client.post(f"/v1/jobs{path}", json=body or None, headers=keys.header_of("a"))

    ids = [post("", **BODY).json()["id"] for _ in range(2)]
    for job_id in ids:
        assert post(f"/{job_id}/pause").json()["status"] == "paused"
    assert_problem(post("", **BODY), 429, "too_many_queued_jobs")
    assert [post(f"/{job_id}/resume").status_code for job_id in ids] == [200, 200]
    assert post(f"/{ids[0]}/pause").status_code == 200
    with database.write() as session:  # as if a worker ran it meanwhile
        session.execute(update(Job).where(Job.id == ids[0]).values(owner="elsewhere"))
    third = post("", **BODY).json()["id"]
    with database.write() as session:
        session.execute(update(Job).where(Job.id == ids[0]).values(owner="a"))
    assert_problem(post(f"/{ids[0]}/resume"), 429, "too_many_queued_jobs")
    assert post(f"/{third}/cancel").status_code == 200
    assert post(f"/{ids[0]}/resume").status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_nothing_is_limited_without_keys(client_with: Callable[..., TestClient]) -> None:
    client = client_with(requests_per_minute=1, max_queued_jobs_per_owner=1)
    assert [client.post("/v1/jobs", json=BODY).status_code for _ in range(3)] == [202] * 3
