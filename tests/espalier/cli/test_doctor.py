"""``espalier doctor``: findings about a service and this machine."""

import json
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from espalier.cli import checks
from espalier.cli.main import app
from espalier.extras import DISTRIBUTION
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.processes import ROOT
from tests.waiting import wait_until


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
    # the API repeats an answer for a second or two
    wait_until(lambda: states("--url", url)[1]["API"] == "ok", what="a ready API")
    assert states("--url", url)[0] == 0
    monkeypatch.setenv("ESPALIER_DATABASE_URL", "postgresql://u:geheim@127.0.0.1:1/x")
    monkeypatch.setenv("ESPALIER_BROKER_URL", "redis://:geheim@127.0.0.1:1/0")
    code, found = states("--local")
    assert (code, found["database"], found["broker"]) == (1, "broken", "broken")
    assert "API" not in found
    monkeypatch.setenv("ESPALIER_BROKER_URL", "amqp://u:geheim@127.0.0.1")
    assert states("--local")[1]["settings"] == "broken"


def test_versions_are_those_of_the_distribution_and_of_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "boto3":
            raise metadata.PackageNotFoundError
        return "1.2"

    monkeypatch.setattr(metadata, "version", version)
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == DISTRIBUTION
    packages = checks.versions().detail.split(", ")[1:]
    assert packages == [f"{DISTRIBUTION} 1.2", "torch 1.2", "transformers 1.2", "onnxruntime 1.2", "no boto3"]


def test_a_variable_without_effect_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_WORKER_SLOT", "2")
    found = checks.variables()
    assert found.state == "note"
    assert "ESPALIER_WORKER_SLOT, " in found.detail or "ESPALIER_WORKER_SLOT;" in found.detail
    assert " ESPALIER_WORKER_SLOTS?" in found.detail


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("parameter", "state"), [({}, "broken"), ({"pooler": "transaction"}, "ok")])
def test_a_pooler_that_the_url_does_not_name(pooled_url: str, parameter: dict[str, str], state: str) -> None:
    url = make_url(pooled_url).update_query_dict(parameter).render_as_string(hide_password=False)
    found = checks.database(Settings(database_url=url))
    assert found.state == state
    assert ("pooler=transaction" in (found.remedy or "")) == (state == "broken")
