"""Exit of a program whose work is done: its exit code does not depend on the interpreter's shutdown."""

import os
import signal
import subprocess
import sys

import pytest

from tests.pruning.runs import ROOT

PROGRAM = """
import atexit, os, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pruning.processes.exit import run_program

class AbortsWhenDestroyed:  # in the place of a library's thread that asks for the interpreter while it ends
    def __del__(self):
        os.abort()

def main():
    global kept, pool
    kept, pool = AbortsWhenDestroyed(), ThreadPoolExecutor(1)
    pool.submit(lambda: None)
    print("out")
    atexit.register(print, "handler")
    started = threading.Event()
    threading.Thread(target=lambda: (started.wait(), print("thread"))).start()
    started.set()
    {end}

{call}
"""


def run(end: str, call: str = "run_program(main)") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end, call=call)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_ordinary_end_of_such_a_program_is_an_abort() -> None:
    assert run("return 0", "sys.exit(main())").returncode == -signal.SIGABRT


@pytest.mark.parametrize(
    ("end", "code", "error"),
    [
        ("return 0", 0, ""),
        ("return None", 0, ""),
        ("return 65", 65, ""),
        ("sys.exit(75)", 75, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('in words')", 1, "in words"),
        ("raise ValueError('odd')", 1, "ValueError: odd"),
        ("raise KeyboardInterrupt", 130, "KeyboardInterrupt"),
    ],
)
def test_exit_codes_handlers_threads_and_output_are_unchanged(end: str, code: int, error: str) -> None:
    done = run(end)
    assert done.returncode == code, done.stderr
    assert sorted(done.stdout.split()) == ["handler", "out", "thread"]
    assert (done.stderr.strip().splitlines() or [""])[-1] == error


def test_output_that_cannot_be_written_is_a_failure() -> None:
    code = "import os; from pruning.processes.exit import run_program; run_program(lambda: print('x') or os.close(1))"
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=buffered, capture_output=True, timeout=60)
    assert done.returncode == 120
