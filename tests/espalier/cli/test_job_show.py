"""``espalier show``, ``open`` and what to do next, against a real service."""

import json
import webbrowser
from typing import Any

import pytest
from typer.testing import CliRunner

from espalier.cli import job_show
from espalier.cli.main import app
from espalier.cli.next_steps import how_to_return, next_lines
from espalier.cli.service_context import ServiceContext
from espalier.client.models import Job
from tests.api.conftest import Jobs
from tests.espalier.cli.conftest import Run


def test_a_failed_job_says_why_and_what_to_do(espalier: Run, jobs: Jobs) -> None:
    failed = jobs.running()
    jobs.fail(failed)
    lines = dict(line.split(maxsplit=1) for line in espalier("show", failed).splitlines() if line[:1].strip())
    assert lines["✗"] == f"failed  {failed}"
    assert lines["failed"] == "no (diverged)"
    assert lines["to"].startswith("do")
    assert "learning_rate" in lines["to"]
    assert lines["next"].startswith(f"espalier logs {failed} --url ")
    assert json.loads(espalier("show", failed, "--json"))["error"]["remedy"]


def test_a_run_that_does_not_learn_shows_it_and_a_baseline_stands_by_its_name() -> None:
    metrics = {"validation_accuracy": 0.5, "constant_prediction": True, "signal_to_noise": 0.0612}
    result = {
        "primary_metric": "accuracy",
        "before": {"accuracy": 0.4},
        "final": {"accuracy": 0.5},
        "baseline": {"metrics": {"accuracy": 0.9}},
    }
    lines = dict(job_show._result(Job(id="job_1", status="succeeded", metrics=metrics, result=result)))
    assert lines["predicts"] == "the same for all validation rows"
    assert lines["signal"].startswith("0.061 ")
    assert lines["baseline"].startswith("0.900 ")
    assert "zero-shot" in lines["metric"]
    assert {"predicts", "signal", "baseline"}.isdisjoint(dict(job_show._result(Job(id="job_1", status="running"))))


def test_a_job_that_succeeded_and_one_that_waits(espalier: Run, jobs: Jobs) -> None:
    done = jobs.succeeded()
    assert "mask.safetensors" in espalier("show", done)
    jobs.queued()
    assert "behind 1 job" in espalier("show", jobs.queued())


@pytest.mark.parametrize("window", [True, False])
def test_open(espalier: Run, url: str, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, window: bool) -> None:
    opened: list[str] = []
    monkeypatch.setattr(job_show, "has_browser", lambda: window)

    def show(page: str) -> bool:
        opened.append(page)
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    job = jobs.queued()
    page = f"{url}/jobs/{job}"
    assert json.loads(espalier("open", job, "--json")) == {"url": page, "opened": window}
    assert opened == ([page] if window else [])
    refused = CliRunner().invoke(app, ["open", "job_00000000000000000000000000", "--url", url])
    assert getattr(refused.exception, "code", None) == "job_not_found"


@pytest.mark.parametrize(
    ("command", "path"),
    [(("watch", "last"), "espalier.cli.next_steps.follow"), (("sweep", "show", "last", "--watch"), "rich.live.Live.update")],
)
def test_an_interrupt_leaves_the_job_alone_and_says_how_to_come_back(
    espalier: Run, url: str, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], path: str
) -> None:
    made = espalier("sweep", "submit", "--model", "bert-base-uncased", "--task", "sst2", "--sparsities", "0.5").strip()
    job = json.loads(espalier("show", "last", "--json"))["id"]

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(path, interrupted)
    left = CliRunner().invoke(app, [*command, "--url", url])
    assert left.exit_code == 130
    back = f"espalier watch {job}" if command[0] == "watch" else f"espalier sweep show {made} --watch"
    assert f"watch:    {back} --url {url}" in left.stderr
    assert json.loads(espalier("show", job, "--json"))["status"] == "queued"


@pytest.mark.parametrize("status", ["queued", "running", "paused", "succeeded", "failed", "cancelled"])
def test_three_commands_come_next_and_no_key_is_among_them(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESPALIER_URL", raising=False)
    fields: dict[str, Any] = {"artifacts": [{"name": "report.html", "bytes": 1, "sha256": "", "url": ""}]}
    job = Job.model_validate({"id": "job_1", "status": status, **fields})
    lines = next_lines(ServiceContext("http://far.test", "esp_hush", as_json=False), job)
    assert all(line.endswith(" --url http://far.test") for line in lines[:3])
    assert lines[3:] == ["page    http://far.test/jobs/job_1", "report  http://far.test/jobs/job_1/artifacts/report.html"]
    assert "hush" not in "".join(lines)
    held = ServiceContext("http://127.0.0.1:8000", "@key file", as_json=False)
    assert "  watch:    espalier watch job_1 --api-key '@key file'" in how_to_return(held, "job_1")


def test_sparsities_of_single_matrices_stand_after_the_one_over_all() -> None:
    spec = {"model": "m", "task": "sst2", "method": "smp-l", "sparsity": 0.9, "sparsity_by": {"*.0.*": 0.0}}
    assert job_show._what(Job(id="job_1", status="queued", spec=spec)) == "m, sst2, smp-l, sparsity 0.9, 0.0 of *.0.*"
    assert job_show._what(Job(id="job_1", status="queued", spec=spec | {"sparsity_by": {}})).endswith("sparsity 0.9")
