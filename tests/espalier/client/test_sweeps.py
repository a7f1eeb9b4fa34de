"""Sweeps in the client and on the command line, against scripted responses."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from espalier.cli.main import app
from espalier.cli.service_context import ServiceContext
from espalier.client._sync import sweeps
from espalier.client._sync.client import Client
from tests.espalier.client.test_client import script, talking

MEAN = {"method": "smp-s", "sparsity": 0.9, "runs": 1, "metric": 0.875, "lowest": 0.875, "highest": 0.875, "remaining": 0.1}


def sweep(status: str = "active", **jobs: int) -> dict[str, Any]:
    return {
        "id": "swp_1",
        "status": status,
        "progress": 0.5,
        "jobs": jobs,
        "base": {"model": "toy"},
        "methods": ["smp-s"],
        "sparsities": [0.9],
        "seeds": [1, 2],
        "results": {"metric": "accuracy", "means": [MEAN], "rows": []},
    }


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "WATCH_SECONDS", 0.001)


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """Requests of the command line; the responses are a sweep that runs, then one that has ended."""
    handler, asked = script(
        httpx.Response(202, json=sweep(queued=2)),
        httpx.Response(200, json=sweep(succeeded=1, running=1)),
        httpx.Response(200, json=sweep("ended", succeeded=1, failed=1)),
    )
    monkeypatch.setattr(ServiceContext, "client", lambda _: talking(handler))
    return asked


def test_a_sweep_is_posted_with_what_its_jobs_share_apart() -> None:
    handler, asked = script(httpx.Response(202, json=sweep(queued=2)))
    made = talking(handler).sweep(model="toy", task="sst2", sparsities=(0.9,), seeds=[1, 2], baseline=0.92)
    assert json.loads(asked[0].read()) == {
        "base": {"model": "toy", "task": "sst2"},
        "methods": ["smp-s"],
        "sparsities": [0.9],
        "seeds": [1, 2],
        "baseline": 0.92,
    }
    assert asked[0].headers["Idempotency-Key"]
    assert not made.ended


@pytest.mark.parametrize("asked_for", [True, False])
def test_a_baseline_that_is_to_be_trained_is_a_field_of_the_jobs(asked_for: bool) -> None:
    handler, asked = script(httpx.Response(202, json=sweep(queued=2)))
    talking(handler).sweep(model="toy", task="sst2", sparsities=[0.9], baseline=asked_for)
    body = json.loads(asked[0].read())
    assert body["base"] == {"model": "toy", "task": "sst2", "baseline": asked_for}
    assert "baseline" not in body


def test_the_command_line_takes_one_baseline(posted: list[httpx.Request]) -> None:
    given = ["sweep", "submit", "--model", "toy", "--task", "sst2", "--sparsities", "0.9", "--set", "baseline=true"]
    assert CliRunner().invoke(app, given).exit_code == 0
    assert json.loads(posted[0].read())["base"]["baseline"] is True
    assert CliRunner().invoke(app, [*given, "--baseline", "0.9"]).exit_code == 2


def test_watching_ends_with_the_last_job() -> None:
    running, ended = httpx.Response(200, json=sweep(running=2)), httpx.Response(200, json=sweep("ended", succeeded=2))
    handler, asked = script(running, running, httpx.Response(503), httpx.Response(503), ended)
    client = Client("http://service.test", transport=httpx.MockTransport(handler), retries=0)
    assert [seen.status for seen in client.watch_sweep("swp_1", timeout=60)] == ["active", "ended"]
    assert len(asked) == 5
    with pytest.raises(TimeoutError):
        list(talking(script(running)[0]).watch_sweep("swp_1", timeout=0))


def test_the_suffix_of_the_file_decides_the_format_of_the_plot(tmp_path: Path) -> None:
    handler, asked = script(httpx.Response(200, content=b"<svg/>"))
    assert talking(handler).sweep_plot("swp_1", tmp_path / "a.SVG").read_bytes() == b"<svg/>"
    assert asked[0].url.path == "/v1/sweeps/swp_1/plot.svg"
    with pytest.raises(ValueError, match=r"\.svg or \.png"):
        talking(handler).sweep_plot("swp_1", tmp_path / "a.pdf")


def test_the_command_line_reads_a_file_and_options(tmp_path: Path, posted: list[httpx.Request]) -> None:
    grid = {"base": {"model": "a", "task": "sst2", "seed": 1}, "methods": ["l0"], "sparsities": [0.5]}
    (tmp_path / "grid.json").write_text(json.dumps(grid))
    arguments = ["--model", "toy", "--methods", "smp-s, random", "--seeds", "1,2", "--set", "max_steps=5"]
    done = CliRunner().invoke(app, ["sweep", str(tmp_path / "grid.json"), *arguments])
    assert (done.exit_code, done.stdout.strip()) == (0, "swp_1"), done.output
    assert json.loads(posted[0].read()) == {
        "base": {"model": "toy", "task": "sst2", "seed": 1, "max_steps": 5},
        "methods": ["smp-s", "random"],
        "sparsities": [0.5],
        "seeds": [1, 2],
    }


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "toy", "--task", "sst2"], "--sparsities"),
        (["--sparsities", "0.5,much"], "separated by commas"),
        (["--sparsities", "0.5", "--set", "seed"], "FIELD=VALUE"),
        (["absent.json"], "does not exist"),
    ],
)
def test_invalid_sweep_options_are_refused(arguments: list[str], reason: str) -> None:
    done = CliRunner().invoke(app, ["sweep", *arguments])
    assert done.exit_code == 2
    assert reason in done.output


def test_watch_shows_the_table_and_fails_with_a_job(posted: list[httpx.Request]) -> None:
    done = CliRunner().invoke(app, ["sweep", "--sparsities", "0.9", "--watch", "--json"])
    assert "swp_1" in str(done.exception)
    assert "1 succeeded, 1 failed" in str(done.exception)
    assert json.loads(done.stdout)["status"] == "ended"
    assert "0.8750" in done.stderr
    assert [request.method for request in posted] == ["POST", "GET", "GET"]
