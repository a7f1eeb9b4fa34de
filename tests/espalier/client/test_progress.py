"""``wait(progress=True)``: one line drawn over itself on a terminal and in a notebook, lines elsewhere."""

import io
import sys
from types import SimpleNamespace

import httpx
import pytest

from espalier.client._sync import jobs as jobs_module
from tests.espalier.client.test_client import Handler, job, script, talking


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Handler:
    monkeypatch.setattr(jobs_module, "POLL_SECONDS", (0.001, 0.001))
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")

    def running(step: int) -> httpx.Response:
        progress = {"step": step, "total_steps": 100, "eta_seconds": 61.0}
        return httpx.Response(200, json=job(status="running", phase="training", progress=progress, metrics={"loss": 0.5}))

    ended = httpx.Response(200, json=job(status="succeeded"))
    metrics = httpx.Response(200, json={"data": [{"step": 1}], "has_more": False, "next_cursor": None})
    return script(running(1), running(2), running(50), ended, ended, metrics)[0]


def test_a_terminal_has_one_line_that_is_drawn_over(handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    done = talking(handler).wait("job_1", progress=True)
    assert (done.status, [row.step for row in done.curve or ()]) == ("succeeded", [1])
    first, *drawn = terminal.getvalue().split("\r")
    assert first == ""
    assert [line.strip() for line in drawn] == [
        "training     [--------------------]  1/100  loss 0.500  ETA",
        "training     [--------------------]  2/100  loss 0.500  ETA",
        "training     [##########----------]  50/100  loss 0.500  ET",
        "succeeded",
    ]
    assert max(len(line.rstrip("\n")) for line in drawn) < 60
    assert drawn[-1] == "succeeded".ljust(len(drawn[-2])) + "\n"


def test_a_log_has_a_line_where_there_is_something_to_say(handler: Handler, capsys: pytest.CaptureFixture[str]) -> None:
    talking(handler).wait("job_1", progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "training  1/100  loss 0.500  ETA 1:01",
        "training  50/100  loss 0.500  ETA 1:01",
        "succeeded",
    ]


def test_a_notebook_has_it_on_standard_output(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    talking(handler).wait("job_1", progress=True)
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("\r") == 4


def test_without_progress_nothing_is_shown(handler: Handler, capsys: pytest.CaptureFixture[str]) -> None:
    assert talking(handler).wait("job_1").curve is None
    assert capsys.readouterr() == ("", "")
