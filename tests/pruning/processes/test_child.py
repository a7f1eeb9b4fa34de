"""A child process: started, written to, ended with what it started, and reaped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pruning.processes.child import ChildProcess, format_exit
from tests.processes import ROOT, is_alive, state
from tests.waiting import wait_until

HELPER = """
import subprocess, sys, time
helper = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(helper.pid, flush=True)
{then}
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_its_exit_code_and_output() -> None:
    with ChildProcess(python("print(input()); raise SystemExit(3)")) as child:
        child.write(b"hello\n", time.monotonic() + 30)
        assert child.stdout.read() == b"hello\n"
        assert child.wait(30) == 3
        assert child.exited()
    assert child.close() == 3  # may be called again


def test_its_environment_and_niceness() -> None:
    program = python("import os; print(os.nice(0), os.environ.get('HOME'), os.environ['ONLY'])")
    with ChildProcess(program, {"ONLY": "this"}, nice=3) as child:
        assert child.stdout.read() == f"{min(os.nice(0) + 3, 19)} None this\n".encode()


def test_niceness_needs_the_launcher() -> None:
    with pytest.raises(ValueError, match="nice"):
        ChildProcess(python(""), nice=3, end_with_thread=False)


def test_it_inherits_the_descriptors_that_it_is_given() -> None:
    reading, writing = os.pipe()
    with ChildProcess(python(f"import os; os.write({writing}, b'here')"), descriptors=[writing]):
        os.close(writing)
        assert os.read(reading, 10) == b"here"
    os.close(reading)


@pytest.mark.parametrize("end_with_thread", [True, False])
def test_leaving_the_block_ends_it_and_what_it_started(end_with_thread: bool) -> None:
    program = python(HELPER.format(then="time.sleep(60)"))
    with ChildProcess(program, end_with_thread=end_with_thread) as child:
        helper = int(child.stdout.readline())
        assert is_alive(helper)
    assert state(child.pid) == ""
    wait_until(lambda: not is_alive(helper), what="the end of the helper")


def test_what_an_ended_process_has_left_behind_is_ended() -> None:
    with ChildProcess(python(HELPER.format(then=""))) as child:
        helper = int(child.stdout.readline())
        wait_until(child.exited, what="its end")
        assert state(child.pid) == "Z"  # not reaped: its group number cannot be given to another
        assert child.reap() == 0
        wait_until(lambda: not is_alive(helper), what="the end of the helper")


def test_without_a_session_of_its_own_it_shares_its_parents_group() -> None:
    with ChildProcess(python("import time; time.sleep(60)"), own_session=False) as child:
        assert os.getpgid(child.pid) == os.getpgrp()
        child.kill()
        assert child.wait() == -signal.SIGKILL


def test_a_stopped_process_receives_a_request_to_end() -> None:
    with ChildProcess(python("import time; print('up', flush=True); time.sleep(60)")) as child:
        child.stdout.readline()
        os.kill(child.pid, signal.SIGSTOP)
        wait_until(lambda: state(child.pid) == "T", what="the stop")
        child.terminate()
        assert child.wait(30) == -signal.SIGTERM
        child.terminate()  # nothing is left to signal
        child.kill()


def test_waiting_has_an_end() -> None:
    with ChildProcess(python("import time; time.sleep(60)")) as child:
        assert child.wait(0.05) is None
        assert not child.exited()


def test_a_child_that_does_not_read_delays_no_caller() -> None:
    with ChildProcess(python("import time; time.sleep(60)")) as child:
        for _ in range(100):
            child.write_now(b"x" * (1 << 16))
        with pytest.raises(TimeoutError):
            child.write(b"x" * (1 << 20), time.monotonic() + 0.05)


def test_a_child_that_has_ended_cannot_be_written_to() -> None:
    with ChildProcess(python("")) as child:
        wait_until(child.exited, what="its end")
        child.write_now(b"x")
        with pytest.raises(BrokenPipeError):
            child.write(b"x", time.monotonic() + 30)
        child.close_stdin()
        child.write_now(b"x")


def test_the_end_of_its_input_lets_it_leave() -> None:
    with ChildProcess(python("import sys; sys.stdin.read(); print('bye')"), end_with_thread=False) as child:
        child.close_stdin()
        assert child.wait(30) == 0
        assert child.stdout.read() == b"bye\n"


def test_a_program_that_does_not_exist() -> None:
    with pytest.raises(FileNotFoundError):
        ChildProcess(["no-such-program"], end_with_thread=False)
    with ChildProcess(["no-such-program"], stderr=subprocess.PIPE) as child:
        assert child.stderr.read().startswith(b"cannot start no-such-program")
        assert child.wait(30) == 127


def test_it_dies_with_its_parent_even_by_kill_9(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        python(
            "import sys, time\nfrom pruning.processes.child import ChildProcess\n"
            "child = ChildProcess([sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'])\n"
            "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)"
        ),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    wait_until(lambda: not is_alive(pid), what="the end of the child")


@pytest.mark.parametrize(("code", "text"), [(0, "exit code 0"), (7, "exit code 7"), (-9, "signal 9")])
def test_an_exit_code_as_text(code: int, text: str) -> None:
    assert format_exit(code) == text
