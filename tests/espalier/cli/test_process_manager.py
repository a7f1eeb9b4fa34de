"""Processes that are kept running: restarted with growing pauses, asked to stop, killed when they do not."""

import sys
import threading
import time
from pathlib import Path

import pytest

from espalier.cli import process_manager
from espalier.cli.process_manager import ManagedProcess, ProcessManager
from tests.processes import is_alive
from tests.waiting import wait_until

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({!r}, 'w').close(); time.sleep(60)"


def program(code: str) -> ManagedProcess:
    return ManagedProcess("test", [sys.executable, "-c", code], {})


def test_a_process_that_ends_is_started_again_after_growing_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_manager, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(process_manager, "_TICK_SECONDS", 0.01)
    lines, stopping = list[str](), threading.Event()
    process = program("raise SystemExit(3)")
    process.pause = 0.01

    def stop_after_three() -> None:
        if len(lines) == 3:
            stopping.set()

    ProcessManager([process], lines.append).run(stopping, stop_after_three)
    assert lines == [f"the test process ended (exit code 3); it is started again in {pause:g} s" for pause in (0.01, 0.02, 0.04)]


@pytest.mark.slow
def test_all_are_asked_to_stop_and_what_does_not_is_killed(tmp_path: Path) -> None:
    lines, stopping, hurry = list[str](), threading.Event(), threading.Event()
    ready = tmp_path / "ready"
    polite, stubborn = program("import time; time.sleep(60)"), program(STUBBORN.format(str(ready)))
    manager = ProcessManager([polite, stubborn], lines.append)
    stopping.set()
    for process in (polite, stubborn):
        process.start()
    assert polite.process is not None
    assert stubborn.process is not None
    pids = [polite.process.pid, stubborn.process.pid]
    wait_until(ready.exists, what="the process that ignores SIGTERM")
    began = time.monotonic()
    manager.stop(5, hurry)
    assert 5 <= time.monotonic() - began < 30
    assert lines == ["the test process did not exit in time and is killed"]
    assert not any(map(is_alive, pids))


def test_a_second_request_does_not_wait() -> None:
    hurry = threading.Event()
    process = program("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    process.start()
    hurry.set()
    began = time.monotonic()
    ProcessManager([process], lambda _: None).stop(600, hurry)
    assert time.monotonic() - began < 60
