"""Webhook routes: forbidden URLs are refused, secrets are shown once, deliveries are listed."""

import base64
import socket
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from service.jobs import commands
from service.webhooks import outbox
from service.webhooks.outbox import DeliveryResult
from tests.api.conftest import BODY, Jobs

URL = "https://receiver.example/hook"
SECRET = "whsec_" + base64.b64encode(bytes(24)).decode()
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What each name leads to, in the place of a name server."""
    known = {"receiver.example": "8.8.8.8", "inside.example": "10.0.0.7"}

    def getaddrinfo(host: str, port: int, **_: Any) -> Any:
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], port))]

    monkeypatch.setattr("service.webhooks.name_lookup.socket.getaddrinfo", getaddrinfo)
    return known


@pytest.fixture
def client(client_with: Callable[..., TestClient]) -> TestClient:
    """With a key for secrets, which PostgreSQL has no place for."""
    return client_with(secret_key=SecretStr(base64.b64encode(bytes(32)).decode()), webhook_max_per_owner=2)


def test_the_secret_is_shown_once(client: TestClient) -> None:
    answer = client.post("/v1/webhooks", json={"url": URL})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32
    assert (made["events"], made["enabled"]) == (["job.succeeded", "job.failed", "job.cancelled"], True)
    path = answer.headers["location"]
    shown = {**made, "secret": None}
    assert client.get(path).json() == shown
    assert client.get("/v1/webhooks").json()["data"] == [shown]
    rotated = client.post(f"{path}/rotate").json()
    assert rotated["secret"] not in (None, made["secret"])
    own = client.post("/v1/webhooks", json={"url": URL, "secret": SECRET, "events": ["job.failed", "job.failed"]}).json()
    assert (own["secret"], own["events"]) == (None, ["job.failed"])
    assert client.post("/v1/webhooks", json={"url": URL}).json()["code"] == "too_many_webhooks"
    assert client.delete(path).status_code == 204
    first, again = (client.post("/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert again.json() == {**first.json(), "secret": None}
    path = first.headers["location"]
    assert client.delete(path).status_code == 204
    assert client.get(path).json()["code"] == "webhook_not_found"


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"url": "https://inside.example/"}, "/url", "inside.example resolves to"),
        ({"url": "https://127.0.0.1/"}, "/url", "has no address"),
        ({"url": "http://receiver.example/"}, "/url", "https://"),
        ({"url": "https://absent.example/"}, "/url", "absent.example"),
        ({"url": URL, "events": []}, "/events", "empty"),
        ({"url": URL, "events": ["job.exploded"]}, "/events/0", "one of"),
        ({"url": URL, "secret": "whsec_c2hvcnQ="}, "/secret", "24 to 64"),
        ({"url": URL, "secret": "c" * 32}, "/secret", "whsec_"),
        ({"url": URL, "colour": "red"}, "/colour", " colour"),
        ({}, "/url", "url "),
    ],
)
def test_refusals(strict_client: TestClient, change: dict[str, Any], pointer: str, detail: str) -> None:
    for path, body, prefix in (
        ("/v1/webhooks", change, ""),
        ("/v1/jobs", BODY | {"webhook": {"secret": SECRET} | change}, "/webhook"),
    ):
        answer = strict_client.post(path, json=body)
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] == prefix + pointer
        assert detail in fault["detail"]


@on_sqlite
def test_a_jobs_own_webhook_is_shown_with_it_and_without_its_secret(client: TestClient, jobs: Jobs) -> None:
    body = BODY | {"webhook": {"url": URL, "secret": SECRET, "events": ["job.cancelled"]}}
    assert client.post("/v1/jobs", json=BODY | {"webhook": {"url": URL}}).json()["errors"][0]["pointer"] == "/webhook/secret"
    answer = client.post("/v1/jobs", json=body)
    job = answer.json()
    assert SECRET not in answer.text
    assert (job["webhook"]["url"], job["webhook"]["job_id"]) == (URL, job["id"])
    assert client.get(f"/v1/jobs/{job['id']}").json() == client.get("/v1/jobs").json()["data"][0] == job
    assert "webhook" not in job["spec"]
    assert client.get("/v1/webhooks").json()["data"] == []
    sweep = client.post("/v1/sweeps", json={"base": body, "sparsities": [0.5, 0.9]}).json()
    assert "webhook" not in sweep["base"]
    for row in client.get("/v1/jobs", params={"sweep": sweep["id"]}).json()["data"]:
        assert row["webhook"]["job_id"] == row["id"]
    client.post(f"/v1/sweeps/{sweep['id']}/cancel")
    with jobs.database.write() as session:
        assert len(outbox.claim(session, limit=8, lease_seconds=60)) == 2


@on_sqlite
def test_deliveries_of_a_webhook(client: TestClient, jobs: Jobs) -> None:
    path = client.post("/v1/webhooks", json={"url": URL}).headers["location"]
    job_id = jobs.queued()
    with jobs.database.write() as session:
        commands.request_cancel(session, job_id)
    (pending,) = client.get(f"{path}/deliveries").json()["data"]
    assert (pending["status"], pending["type"], pending["job_id"]) == ("pending", "job.cancelled", job_id)
    for attempts, (outcome, status) in enumerate(
        [(DeliveryResult(500, "no"), "pending"), (DeliveryResult(500, "no"), "failed")], 1
    ):
        with jobs.database.write() as session:
            session.connection().exec_driver_sql("UPDATE deliveries SET due_at = '2020-01-01 00:00:00.000000'")
            (claimed,) = outbox.claim(session, limit=8, lease_seconds=60)
            outbox.record_result(session, claimed.delivery, outcome, max_attempts=2)
        (seen,) = client.get(f"{path}/deliveries").json()["data"]
        assert (seen["status"], seen["attempts"], seen["last_status"], seen["last_error"]) == (status, attempts, 500, "no")
    off = client.post(f"{path}/disable").json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "requested")
    assert client.post(f"{path}/enable").json()["enabled"] is True


def test_a_test_message(client: TestClient) -> None:
    path = client.post("/v1/webhooks", json={"url": URL, "events": ["job.failed"]}).headers["location"]
    answer = client.post(f"{path}/test")
    assert answer.status_code == 202, answer.text
    sent = answer.json()
    assert (sent["type"], sent["job_id"], sent["status"]) == ("webhook.test", None, "pending")
    assert client.post(f"{path}/test").json()["id"] == sent["id"]
    assert [each["id"] for each in client.get(f"{path}/deliveries").json()["data"]] == [sent["id"]]
    assert client.post("/v1/webhooks/whk_none/test").json()["code"] == "webhook_not_found"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_without_a_secret_key_nothing_is_stored(client_with: Callable[..., TestClient]) -> None:
    client = client_with()
    answer = client.post("/v1/webhooks", json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (503, "secrets_unavailable")
    assert client.get("/v1/webhooks").json()["data"] == []
