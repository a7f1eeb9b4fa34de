"""The diagnosis of a service and of this machine."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from espalier.cli.main import app
from tests.api.conftest import Jobs


def test_doctor_finds_broken_parts_and_prints_no_secret(
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
