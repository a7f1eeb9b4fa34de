"""Children of another user: started, without capabilities, and ended, by root and by who holds the three capabilities."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pruning.processes.child import ChildProcess
from tests.other_users import SERVICE, TRAINER, environment
from tests.processes import is_alive
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv")
SHOW = ["/bin/sh", "-c", "id -u; id -G; umask; pwd; grep ^Cap[PEA] /proc/self/status"]
SHOWN = f"{TRAINER}\n{TRAINER}\n0007\n/\n" + "".join(f"Cap{name}:\t{'0' * 16}\n" for name in ("Prm", "Eff", "Amb"))
PARENT = f"""
import os, sys, time
from pruning.processes.child import ChildProcess
from pruning.processes.user_switch import become_user
become_user({SERVICE}, {SERVICE}, keep_switching=sys.argv[1] == "kept")
os.execv(sys.executable, [sys.executable, "-P", "-c", '''
import sys
from pruning.processes.child import ChildProcess
with ChildProcess({SHOW!r}, {{}}, user=({TRAINER}, {TRAINER})) as child:
    print(child.wait(60), child.stdout.read().decode(), end="", flush=True)
with ChildProcess(["/bin/sleep", "600"], {{}}, user=({TRAINER}, {TRAINER})) as child:
    print(child.pid, flush=True)
    if sys.argv[1] == "kept":
        child.kill()
        print(child.wait(60), flush=True)
    sys.stdin.read()
''', sys.argv[1]])
"""


@pytest.fixture
def start() -> Callable[[str], "subprocess.Popen[str]"]:
    """A parent that is another user with the bounding set of the compose file, and ``kept`` or ``dropped`` capabilities."""
    given = environment()
    if given is None:
        pytest.skip("no Python that other users can run")
    switch = ["setpriv", "--no-new-privs", "--bounding-set", "-all,+kill,+setuid,+setgid"]
    command = [*switch, given["PYTHON"], "-P", "-c", PARENT]
    return lambda caps: subprocess.Popen(
        [*command, caps], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_root_starts_a_child_without_capabilities() -> None:
    with ChildProcess(SHOW, {}, user=(TRAINER, TRAINER)) as child:
        assert child.wait(60) == 0
        assert child.stdout.read().decode() == SHOWN


def test_three_capabilities_start_and_end_one_as_well(start: Callable[[str], "subprocess.Popen[str]"]) -> None:
    out, err = start("kept").communicate("", 120)
    assert out.startswith(f"0 {SHOWN}"), err
    assert out.splitlines()[-1] == "-9"


def test_without_them_the_child_says_why_it_ends(start: Callable[[str], "subprocess.Popen[str]"]) -> None:
    out, err = start("dropped").communicate("", 120)
    assert out.startswith("127 ")
    assert f"cannot become user {TRAINER}:{TRAINER}: [Errno 1]" in err


def test_the_kernel_ends_it_with_its_parent_of_another_user() -> None:
    code = f"""
import sys
from pruning.processes.child import ChildProcess
child = ChildProcess(["/bin/sh", "-c", "echo up; sleep 600"], {{}}, user=({TRAINER}, {TRAINER}))
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""
    root = Path(__file__).parents[3]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(root)}, **pipes) as parent:  # type: ignore[call-overload]
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    wait_until(lambda: not is_alive(pid), what="the end of the child")
