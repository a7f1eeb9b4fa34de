"""The log of real processes in JSON: every line of API and worker, and the way from a request to the lines about its job."""

import json
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access import api_keys, secrets
from service.db.engine import Database
from service.settings import Settings
from tests.processes import ModuleProcess
from tests.waiting import wait_until

TOKEN = "hf_" + "abcdefgh" * 4
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
COMMON = {"timestamp", "level", "role", "logger", "event"}


def lines_of(program: ModuleProcess) -> list[dict[str, Any]]:
    """All that it has written: each line is an object."""
    assert program.stdout == ""
    found = [json.loads(line) for line in program.stderr.splitlines()]
    assert all(line.keys() >= COMMON for line in found)
    return found


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_line_is_json_and_a_request_leads_to_its_job(settings: Settings, database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        key_row, key = api_keys.create(session, name="test", owner="ann")
        secrets.put(session, settings, "ann", secrets.HUB_TOKEN, TOKEN)
    environment = {
        "ESPALIER_DATA_DIR": str(settings.data_dir),
        "ESPALIER_DATABASE_URL": settings.database_url,
        "ESPALIER_REQUIRE_KEYS": "true",
        "ESPALIER_LOG_FORMAT": "json",
        "ESPALIER_WORKER_SLOT": "2",  # no setting: a warning from both
    }
    with socket.create_server(("127.0.0.1", 0)) as listening:
        api_arguments, descriptor = ["espalier.cli.api_process", str(listening.fileno())], listening.fileno()
        worker_arguments = ["tests.worker.fake_worker", "--concurrency", "1"]
        with (
            ModuleProcess(api_arguments, environment, tmp_path / "logs", "api", [descriptor]) as api,
            ModuleProcess(worker_arguments, environment, tmp_path / "logs", "worker") as worker,
            httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=60) as client,
        ):
            worker.wait_for_line("is ready")
            client.headers["Authorization"] = f"Bearer {key}"
            forged = client.get(f"/nothing%0a{{}}%1b[31m/{key}", headers={"X-Request-Id": "a\tb"})
            webhook = {"url": "https://user:hunter22@93.184.215.14/hook", "secret": WEBHOOK_SECRET}
            refused = client.post("/v1/webhooks", json=webhook)
            answer = client.post("/v1/jobs", json={"model": "fake/repeats_token", "task": "sst2"}, headers={"X-Request-Id": "abc"})
            job = answer.raise_for_status().json()["id"]
            wait_until(lambda: client.get(f"/v1/jobs/{job}").json()["status"] == "failed", what="the end of the job")
            for program in (api, worker):
                program.signal(signal.SIGTERM)
            assert (api.wait(), worker.wait()) == (-signal.SIGTERM, 0)
    said, done = lines_of(api), lines_of(worker)
    assert {line["role"] for line in said} == {"api"}
    assert {line["role"] for line in done} == {"worker"}
    for lines in (said, done):
        assert any(line["level"] == "warning" and "ESPALIER_WORKER_SLOTS" in line["event"] for line in lines)
    assert {line["logger"].partition(".")[0] for line in said} >= {"api", "uvicorn"}
    assert {line["logger"].partition(".")[0] for line in done} >= {"worker", "celery"}

    assert not any("Pool" in line["event"] for line in said + done), "libraries log from WARNING on"

    access = {line["request_id"]: line for line in said if line["logger"] == "api.access"}
    created, lost = access["abc"], access[forged.headers["X-Request-Id"]]
    assert (created["method"], created["route"], created["status"]) == ("POST", "/v1/jobs", 202)
    assert (created["owner"], created["key_id"]) == ("ann", key_row.id)
    assert (lost["path"], lost["status"]) == ("/nothing\n{}\x1b[31m/[secret]", 404)
    assert access[refused.headers["X-Request-Id"]]["status"] == 422
    (accepted,) = [line["job_id"] for line in said if line.get("request_id") == "abc" and line["event"] == "accepted"]
    assert accepted == job
    about = [line for line in done if line.get("job_id") == job]
    assert {(line["owner"], line["attempt"]) for line in about} == {("ann", 1)}
    assert {line["logger"] for line in about} >= {"worker.run.supervisor", "worker.run.event_recorder"}
    assert any("library: Authorization: Bearer [secret]" in line["event"] for line in about)
    for secret in (key, TOKEN, WEBHOOK_SECRET, "hunter22"):
        assert secret not in api.stderr + worker.stderr
