"""Progress display without a terminal."""

from typing import Any

import httpx
import pytest

from espalier.cli import progress
from espalier.client._sync import jobs as jobs_module
from tests.espalier.client.test_client import job, script, talking


def test_without_a_terminal_progress_is_lines_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs_module, "POLL_SECONDS", (0.001, 0.001))

    def running(step: int) -> httpx.Response:
        metrics: dict[str, Any] = {"loss": 0.5, "remaining": 0.25, "validation_accuracy": 0.75}
        if step > 1:
            metrics |= {"signal_to_noise": 0.0612, "constant_prediction": True}
        where = {"step": step, "total_steps": 100, "eta_seconds": 61.0}
        return httpx.Response(200, json=job(status="running", phase="training", progress=where, metrics=metrics))

    ended = httpx.Response(200, json=job(status="succeeded"))
    handler, _ = script(running(1), running(1), running(2), running(3), running(20), httpx.Response(503), ended)
    assert progress.follow(talking(handler), "job_1").status == "succeeded"
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "training  1/100  loss 0.500  remaining 25.0%  accuracy 0.750  ETA 1:01",
        "training  20/100  loss 0.500  remaining 25.0%  signal/noise 0.061  accuracy 0.750  (one prediction for all rows)"
        "  ETA 1:01",
        "succeeded",
    ]
