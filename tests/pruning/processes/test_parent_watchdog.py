"""A process ends with its parent: by the kernel, or by the end of its standard input."""

import os
import signal
import subprocess
import sys

import pytest

from pruning.processes import parent_watchdog
from pruning.processes.parent_watchdog import set_pdeathsig
from tests.processes import ROOT, is_alive
from tests.waiting import wait_until

SCRIPT = str(parent_watchdog.__file__)
WATCHES = """
import time
from threading import Thread
from pruning.processes.parent_watchdog import exit_with_parent
Thread(target=exit_with_parent, args=(80,), daemon=True).start()
print("up", flush=True)
time.sleep(60)
"""
STARTS = """
import subprocess, sys, os
child = subprocess.Popen(
    [sys.executable, {script!r}, str(os.getpid()), "0", "-",
     sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"],
    stdout=subprocess.PIPE,
)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


def watching() -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", WATCHES], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_the_end_of_standard_input_ends_it() -> None:
    with watching() as process:
        assert process.stdin is not None
        process.stdin.write(b"600\n")
        process.stdin.close()
        assert process.wait(30) == 80


def test_a_parent_that_does_not_write_in_time_ends_it() -> None:
    with watching() as process:
        assert process.stdin is not None
        for message in (b"600\n", b"no number\n", b"500\n0.05\n"):
            assert process.poll() is None
            process.stdin.write(message)
        assert process.wait(30) == 80


def test_the_kernel_ends_it_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTS.format(script=SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), what="the end of the child")


def test_a_parent_that_had_ended_before() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "1", "0", "-", sys.executable, "-c", "print(1)"], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the call")
def test_it_says_so_when_the_parent_has_ended() -> None:
    code = "from pruning.processes.parent_watchdog import set_pdeathsig as s; s(1)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "ProcessLookupError: " in done.stderr


def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    set_pdeathsig(os.getppid() + 1)
