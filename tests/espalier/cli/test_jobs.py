"""The commands about jobs, webhooks and the catalogue against a real service; and what is printed while a job runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from api.app import create_app
from espalier.cli import progress
from espalier.cli.main import app
from espalier.client._sync import jobs as jobs_module
from service.db.engine import Database
from service.jobs import claims
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.espalier.client.test_client import job, script, talking
from tests.serving import serving

Run = Callable[..., str]


@pytest.fixture
def jobs(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Jobs]:
    (tmp_path / "espalier.db").write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{tmp_path}/espalier.db")
    yield Jobs(database, tmp_path)
    database.dispose()


@pytest.fixture
def url(jobs: Jobs, tmp_path: Path) -> Iterator[str]:
    settings = Settings(
        data_dir=tmp_path, database_url=jobs.database.url, webhook_allow_private=True, webhook_allow_http=True
    )
    with serving(create_app(settings)) as at:
        yield at


@pytest.fixture
def espalier(url: str) -> Run:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [*arguments, "--url", url], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_jobs(espalier: Run, url: str, jobs: Jobs, tmp_path: Path) -> None:
    done = jobs.succeeded()
    job = espalier("submit", "bert-base-uncased", "sst2", "--set", 'metadata={"team": "nlp"}').strip()
    for filters in (["--metadata", "team=nlp"], ["--status", "queued"]):
        assert [found["id"] for found in json.loads(espalier("jobs", "--json", *filters))] == [job]
    assert json.loads(espalier("jobs", "--json", "--metadata", "team=cv")) == []
    assert espalier("logs", done) == httpx.get(f"{url}/v1/jobs/{done}/log").text
    assert json.loads(espalier("logs", done, "--follow", "--json").splitlines()[0])["seq"] == 1
    told = json.loads(espalier("download", done, "-o", str(tmp_path / "mine"), "--json"))
    assert told == {"path": str(tmp_path / "mine"), "bytes": 4}
    assert json.loads(espalier("delete", done, "--json")) == {"id": done, "deleted": True}
    espalier("cancel", job)
    assert espalier("delete", job) == f"{job} deleted\n"


def test_exports_asked_for_waited_for_and_listed(espalier: Run, jobs: Jobs, tmp_path: Path) -> None:
    done = jobs.succeeded()
    assert json.loads(espalier("exports", done, "--json")) == []
    export = espalier("exports", done, "--to", "csr", "--to", "onnx").strip()
    with jobs.database.write() as session:
        claims.claim(session, worker_id="w", lease_seconds=600)
    for name in ("export-csr.zip", "export-onnx.zip", "exports.json"):
        jobs.artifact(export, name.encode(), name)
    figures = {"exports": [{"format": "csr", "bytes": 14, "verdict": "no gain: 0.5 times"}]}
    with jobs.database.write() as session:
        claims.succeed(session, export, 1, result=figures, mask_artifact_id=None)
    assert espalier("exports", done, "--to", "csr", "-o", str(tmp_path / "out")) == f"{export}\n"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"export-csr.zip", "exports.json"}
    assert (tmp_path / "out" / "export-csr.zip").read_bytes() == b"export-csr.zip"
    assert json.loads(espalier("exports", done, "--json"))[0]["id"] == export
    assert "export-csr.zip export-onnx.zip" in espalier("exports", done)
    assert espalier("jobs", "--kind", "export", "--json") == espalier("exports", done, "--json")


def test_webhooks_and_the_catalogue(espalier: Run) -> None:
    secret = espalier("webhooks", "create", "http://127.0.0.1:9999/x", "--event", "job.failed").strip()
    assert secret.startswith("whsec_")
    (made,) = json.loads(espalier("webhooks", "list", "--json"))
    assert (made["events"], made["secret"]) == (["job.failed"], None)
    hook = made["id"]
    assert espalier("webhooks", "disable", hook) == f"{hook} disabled\n"
    assert "disabled: requested" in espalier("webhooks", "list")
    assert espalier("webhooks", "enable", hook) == f"{hook} enabled\n"
    assert espalier("webhooks", "rotate", hook).strip() not in ("", secret)
    assert json.loads(espalier("webhooks", "deliveries", hook, "--json")) == []
    espalier("webhooks", "delete", hook)
    assert "sst2" in espalier("tasks")
    assert "smp-s (default)" in espalier("methods")


def test_doctor_finds_what_is_broken_and_tells_no_secret(
    url: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("ESPALIER_API_KEY", "esp_geheim")

    def states(*arguments: str) -> tuple[int, dict[str, str]]:
        done = CliRunner().invoke(app, ["doctor", "--data-dir", str(tmp_path), "--json", *arguments])
        assert "geheim" not in done.output
        return done.exit_code, {finding["name"]: finding["state"] for finding in json.loads(done.stdout)}

    code, found = states("--url", url)
    assert (code, found["API"], found["database"], found["broker"]) == (1, "broken", "ok", "ok"), "there is no worker"
    jobs.worker()
    code, found = states("--url", url)
    assert (code, found["API"]) == (0, "ok")
    monkeypatch.setenv("ESPALIER_DATABASE_URL", "postgresql://u:geheim@127.0.0.1:1/x")
    monkeypatch.setenv("ESPALIER_BROKER_URL", "redis://:geheim@127.0.0.1:1/0")
    code, found = states("--local")
    assert (code, found["database"], found["broker"]) == (1, "broken", "broken")
    assert "API" not in found
    monkeypatch.setenv("ESPALIER_BROKER_URL", "amqp://u:geheim@127.0.0.1")
    assert states("--local")[1]["settings"] == "broken"


def test_a_worker_needs_a_migrated_database(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["worker", "--data-dir", str(tmp_path)])
    assert "espalier db upgrade" in str(refused.exception)


def test_without_a_terminal_progress_is_lines_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs_module, "POLL_SECONDS", (0.001, 0.001))

    def running(step: int) -> httpx.Response:
        metrics: dict[str, Any] = {"loss": 0.5, "remaining": 0.25, "validation_accuracy": 0.75}
        where = {"step": step, "total_steps": 100, "eta_seconds": 61.0}
        return httpx.Response(200, json=job(status="running", phase="training", progress=where, metrics=metrics))

    ended = httpx.Response(200, json=job(status="succeeded"))
    handler, _ = script(running(1), running(1), running(2), running(3), running(20), httpx.Response(503), ended)
    assert progress.follow(talking(handler), "job_1").status == "succeeded"
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "training  1/100  loss 0.500  remaining 25.0%  accuracy 0.750  ETA 0:01:01",
        "training  20/100  loss 0.500  remaining 25.0%  accuracy 0.750  ETA 0:01:01",
        "succeeded",
    ]
