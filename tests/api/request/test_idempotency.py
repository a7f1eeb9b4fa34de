"""Idempotency keys: a repeated request is done once, by one client, by two hundred, after a crash, days later."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from api.app import create_app
from service.access import api_keys, idempotency
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job, StoredResponse
from service.jobs import queries
from service.settings import Settings
from tests.api.conftest import BODY, Jobs
from tests.api.problems import assert_problem
from tests.serving import serving

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def count(database: Database) -> int:
    with database.read() as session:
        return len(queries.page(session, limit=1000)[0])


def test_the_same_request_is_answered_again_and_done_once(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.post("/v1/jobs", json=BODY | {"seed": 7}, headers=KEY)
    assert first.status_code == 202
    assert "idempotency-replayed" not in first.headers
    monkeypatch.setattr("api.routes.jobs.admission.check_job", lambda *_: pytest.fail("it is not checked again"))
    spaced = b'{ "seed": 7,  "task": "sst2", "model": "bert-base-uncased" }'
    for key in (KEY["Idempotency-Key"], f'"{KEY["Idempotency-Key"]}"'):
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        again = client.post("/v1/jobs", content=spaced, headers=headers)
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["idempotency-replayed"] == "true"
    assert count(database) == 1


def test_a_key_that_was_used_for_another_request(client: TestClient, database: Database) -> None:
    assert client.post("/v1/jobs", json=BODY, headers=KEY).status_code == 202
    refusal = assert_problem(client.post("/v1/jobs", json=BODY | {"seed": 1}, headers=KEY), 422, "idempotency_key_reused")
    assert refusal["errors"][0]["parameter"] == "Idempotency-Key"
    assert count(database) == 1


def test_a_refused_request_can_be_corrected_under_its_key(client: TestClient) -> None:
    assert_problem(client.post("/v1/jobs", json=BODY | {"sparsity": 2}, headers=KEY), 422, "invalid_request")
    assert client.post("/v1/jobs", json=BODY, headers=KEY).status_code == 202


def test_keys_belong_to_a_route(client: TestClient, jobs: Jobs) -> None:
    cancelled = [jobs.queued(), jobs.queued()]
    for job_id in cancelled:
        client.post(f"/v1/jobs/{job_id}/cancel")
    made = client.post("/v1/jobs", json=BODY, headers=KEY).json()["id"]
    path = f"/v1/jobs/{cancelled[0]}/retry"
    retried = client.post(path, headers=KEY)
    assert retried.json()["id"] != made
    client.post(f"/v1/jobs/{retried.json()['id']}/cancel")  # without the key a new job would be made now
    again = client.post(path, headers=KEY)
    assert (again.json(), again.headers["idempotency-replayed"]) == (retried.json(), "true")
    assert_problem(client.post(f"/v1/jobs/{cancelled[1]}/retry", headers=KEY), 422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "a b", "ä".encode(), "x" * 256, '"open', '"a"b"'])
def test_a_malformed_key(strict_client: TestClient, key: str | bytes) -> None:
    headers: Any = {"Idempotency-Key": key}  # bytes that are no ASCII, too
    answer = strict_client.post("/v1/jobs", json=BODY, headers=headers)
    assert assert_problem(answer, 422, "invalid_request")["errors"][0]["parameter"] == "Idempotency-Key"


def test_old_responses_expire(client: TestClient, database: Database) -> None:
    first = client.post("/v1/jobs", json=BODY, headers=KEY).json()
    with database.write() as session:
        session.execute(update(StoredResponse).values(created_at=now_sql(-90_000)))
    second = client.post("/v1/jobs", json=BODY | {"seed": 2}, headers=KEY)
    assert second.json()["id"] != first["id"]
    with database.write() as session:
        session.execute(update(StoredResponse).values(created_at=now_sql(-90_000)))
        idempotency.delete_expired(session, keep_seconds=86_400)
        assert session.scalars(select(StoredResponse)).all() == []


def test_the_answer_and_the_job_are_stored_together(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose answer was kept by a faster one is undone as a whole, and answered with "try again"."""

    client.post("/v1/jobs", json=BODY, headers=KEY)
    with monkeypatch.context() as late:  # another process, which looked before the first had committed
        late.setattr(idempotency, "find", lambda *_, **__: None)
        answer = client.post("/v1/jobs", json=BODY, headers=KEY)
    assert_problem(answer, 409, "idempotency_in_progress")
    assert answer.headers["retry-after"] == "1"
    assert count(database) == 1
    assert client.post("/v1/jobs", json=BODY, headers=KEY).headers["idempotency-replayed"] == "true"


@pytest.mark.slow
def test_two_hundred_clients_make_each_job_once(settings: Settings, database: Database) -> None:
    """Ten requests, each by twenty clients at once, who try again while the answer says so."""
    clients, requests = 200, 10
    start, pause = threading.Barrier(clients), threading.Event()

    def post(http: httpx.Client, number: int) -> str:
        body: dict[str, Any] = BODY | {"seed": number % requests}
        start.wait(60)
        while True:
            answer = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": str(number % requests)})
            if answer.status_code != 409:
                assert answer.status_code == 202, answer.text
                return str(answer.json()["id"])
            assert answer.json()["code"] == "idempotency_in_progress"
            pause.wait(0.02)

    limits = httpx.Limits(max_connections=clients)
    with (
        serving(create_app(settings)) as url,
        httpx.Client(base_url=url, timeout=60, limits=limits) as http,
        ThreadPoolExecutor(clients) as pool,
    ):
        answered = list(pool.map(lambda number: post(http, number), range(clients)))
    assert len(set(answered)) == requests
    assert all(answered[number] == answered[number % requests] for number in range(clients))
    with database.read() as session:
        stored = {job.id: job.spec["seed"] for job in session.scalars(select(Job))}
    assert stored == {answered[number]: number for number in range(requests)}


def test_owners_have_keys_of_their_own(client_with: Callable[..., TestClient], database: Database) -> None:
    made = []
    client = client_with(require_keys=True)
    with database.write() as session:
        secrets = [api_keys.create(session, name=owner, owner=owner)[1] for owner in ("ann", "ben")]
    for secret in secrets:
        headers = KEY | {"Authorization": f"Bearer {secret}"}
        made.append(client.post("/v1/jobs", json=BODY, headers=headers).json()["id"])
    assert len(set(made)) == 2
