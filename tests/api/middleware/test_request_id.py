"""Request ids in responses and in the log; a bug is logged under one and says nothing else to the client."""

import logging
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from starlette.requests import ClientDisconnect

from api.app import create_app
from api.middleware.request_id import RequestIdMiddleware
from service.settings import Settings
from tests.api.conftest import local
from tests.api.problems import assert_problem


def test_a_bug_is_logged_and_not_shown_to_the_client(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("api.schemas.job_representation.views.load", broken)
    with local(create_app(settings)) as client, caplog.at_level(logging.ERROR):
        answer = client.get("/v1/jobs/job_0", headers={"X-Request-Id": "from-proxy-1"})
    body = assert_problem(answer, 500, "internal_error")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert body["request_id"] == "from-proxy-1"
    logged = [record for record in caplog.records if "from-proxy-1" in record.getMessage()]
    assert len(logged) == 1
    assert "hunter2" in str(logged[0].exc_info)


def test_a_faulty_statement_is_a_bug(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(session: Any, *_: object, **__: object) -> None:
        session.execute(text("INSERT INTO workers (id) VALUES ('without the rest')"))

    monkeypatch.setattr("api.routes.jobs.commands.request_cancel", broken)
    assert_problem(client.post("/v1/jobs/job_0/cancel"), 500, "internal_error")


def test_a_request_id_that_could_forge_a_log_line_is_replaced(strict_client: TestClient) -> None:
    answer = strict_client.get("/livez", headers={"X-Request-Id": "a b"})
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_client_that_leaves_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def app(*_: object) -> None:
        raise ClientDisconnect

    async def main() -> None:
        sent: list[object] = []
        never_called: Any = None

        async def send(message: object) -> None:
            sent.append(message)

        scope: dict[str, Any] = {"type": "http", "headers": [], "method": "POST", "path": "/v1/datasets", "state": {}}
        await RequestIdMiddleware(app)(scope, never_called, send)
        assert sent == []

    with caplog.at_level(logging.INFO):
        anyio.run(main)
    (record,) = [record for record in caplog.records if "/v1/datasets" in record.getMessage()]
    assert (record.levelno, record.exc_info) == (logging.INFO, None)
