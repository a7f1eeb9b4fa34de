"""Retries and idempotency: lost responses, busy services, Retry-After."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from espalier.client._sync import http
from espalier.client._sync.client import Client
from espalier.errors import ApiError, UnreachableError
from service.db.engine import Database
from service.jobs import queries
from service.settings import Settings

BODY: dict[str, Any] = {"model": "bert-base-uncased", "task": "sst2"}
Answer = httpx.Response | Exception


class Lossy(httpx.BaseTransport):
    """A transport to a real application that loses the first responses to each kind of request."""

    def __init__(self, app: TestClient, lose: int) -> None:
        self._app, self._lose = app, lose
        self.lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._app.request(request.method, str(request.url), content=request.read(), headers=dict(request.headers))
        if self.lost < self._lose:
            self.lost += 1
            raise httpx.ReadError("connection reset by peer", request=request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between retries, none of which takes any time."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def scripted(*answers: Answer) -> tuple[Client, list[httpx.Request]]:
    """A client that receives the responses one after the other."""
    asked: list[httpx.Request] = []
    left = list(answers)

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Client("http://service.test", transport=httpx.MockTransport(handler)), asked


def busy(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, json={"code": "busy", "detail": "later"})


JOB = {"id": "job_1", "status": "queued"}


@pytest.mark.usefixtures("pauses")
def test_a_job_whose_response_was_lost_is_created_once(settings: Settings, database: Database, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("body,queue\nhelp,0\nthanks,1\n")
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as app:
        lossy = Lossy(app, lose=2)
        with Client("http://127.0.0.1", transport=lossy) as client:
            first, second = client.submit(**BODY), client.submit(**BODY)
            assert lossy.lost == 2
            with database.read() as session:
                assert set(queries.page(session, limit=9)[0]) == {first.id, second.id}
            client.cancel(first)
            lossy.lost = 0
            again = client.retry(first)
            lossy.lost = 0
            assert client.get(again).status == "queued"
            lossy.lost = 0
            sent: list[tuple[int, int]] = []
            uploaded = client.upload_dataset(train=file, validation=file, name="mine", report=lambda *much: sent.append(much))
            assert sent[-1] == (2 * file.stat().st_size, 2 * file.stat().st_size)
            assert [found.id for found in client.datasets()] == [uploaded.id]
            assert client.dataset_rows(uploaded, limit=1) == [{"body": "help", "queue": 0}]
            client.delete_dataset(uploaded)
            assert list(client.datasets()) == []
            assert len(list(client.list(metadata={"a": "b"}))) == 0
            assert len(list(client.list())) == 3


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), busy(502), busy(503), busy(504), busy(429)])
def test_posts_are_sent_again_with_the_same_key(failure: Answer, pauses: list[float]) -> None:
    client, asked = scripted(failure, failure, httpx.Response(202, json=JOB))
    assert client.submit(**BODY).id == "job_1"
    assert len({request.headers["Idempotency-Key"] for request in asked}) == 1
    assert len({request.read() for request in asked}) == 1
    short, long = http.PAUSE_SECONDS[0], 2 * http.PAUSE_SECONDS[0]
    assert short / 2 <= pauses[0] <= short
    assert long / 2 <= pauses[1] <= long
    client, other = scripted(httpx.Response(202, json=JOB))
    client.submit(**BODY)
    assert other[0].headers["Idempotency-Key"] != asked[0].headers["Idempotency-Key"]


def test_a_post_that_nothing_answered_is_sent_once_more(pauses: list[float]) -> None:
    silence = httpx.ReadTimeout("slow", request=httpx.Request("POST", "http://service.test"))
    client, asked = scripted(silence, httpx.Response(202, json=JOB))
    assert client.submit(**BODY).id == "job_1"
    assert (len(asked), len({request.headers["Idempotency-Key"] for request in asked}), len(pauses)) == (2, 1, 1)
    client, asked = scripted(silence, silence)
    with pytest.raises(UnreachableError):
        client.submit(**BODY)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("headers", "pause"),
    [({"Retry-After": "7"}, 7.0), ({"Retry-After": "Tue, 24 Nov 2026 10:00:09 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 9.0)],
)
def test_retry_after_is_respected(headers: dict[str, str], pause: float, pauses: list[float]) -> None:
    client, _ = scripted(busy(429, **headers), httpx.Response(200, json=JOB))
    client.get("job_1")
    assert pauses == [pause]


def test_retries_are_limited(pauses: list[float]) -> None:
    client, asked = scripted(busy(429, **{"Retry-After": "3600"}))
    with pytest.raises(ApiError, match="later"):
        client.get("job_1")
    client, asked = scripted(*[httpx.ConnectError("refused")] * 9)
    with pytest.raises(UnreachableError):
        client.submit(**BODY)
    assert len(asked) == http.RETRIES + 1
    client, asked = scripted(*[busy(503)] * 9)
    with pytest.raises(ApiError):
        client.submit(**BODY)
    assert len(asked) == http.RETRIES + 1
    assert len(pauses) == 2 * http.RETRIES


def test_a_request_still_in_progress_is_waited_for(pauses: list[float]) -> None:
    waiting = httpx.Response(409, headers={"Retry-After": "1"}, json={"code": "idempotency_in_progress", "detail": "wait"})
    client, _ = scripted(waiting, httpx.Response(202, json=JOB))
    assert client.submit(**BODY).id == "job_1"
    assert pauses == [1.0]


@pytest.mark.parametrize(
    ("do", "answer"),
    [
        (lambda client: client.submit(**BODY), busy(422)),
        (lambda client: client.submit(**BODY), busy(409)),
        (lambda client: client.get("job_1"), busy(500)),
        (lambda client: client.delete_dataset("ds_1"), httpx.ReadError("lost")),
    ],
)
def test_requests_that_are_not_safe_to_repeat_are_sent_once(
    do: Callable[[Client], object], answer: Answer, pauses: list[float]
) -> None:
    client, asked = scripted(answer)
    with pytest.raises((ApiError, UnreachableError)):
        do(client)
    assert (len(asked), pauses) == (1, [])
