"""Confinement of child processes: the environment that they get, and the memory of their parent closed to them."""

import os
import subprocess
import sys

import pytest

from pruning.processes.confinement import child_environment

_SECRET = "postgresql://user:password@host/name"
_PARENT = """
import ctypes, os, subprocess, sys
from pruning.processes.confinement import close_process_memory
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a program that was started by this user; the change of user closed it
if sys.argv[1] == "closed":
    close_process_memory()
for file in ("environ", "mem"):
    child = subprocess.run(["/bin/sh", "-c", f"head -c 1000 /proc/$PPID/{file}"], env={}, capture_output=True, text=True)
    print(file, child.stdout, child.stderr, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="/proc and prctl are Linux's")


def test_a_parser_gets_neither_proxies_nor_caches() -> None:
    given = {"PATH": "/bin", "HTTPS_PROXY": "http://u:p@host", "HF_HOME": "/cache", "ANYTHING": "x"}
    assert child_environment(given, {"OMP_NUM_THREADS": 1, "X": None}, local=True) == {"PATH": "/bin", "OMP_NUM_THREADS": "1"}


@linux_only
@pytest.mark.parametrize("memory", ["open", "closed"])
def test_a_child_of_the_same_user_reads_no_environment_of_a_closed_parent(memory: str) -> None:
    """As another user than root, whom the kernel would let read everything."""
    parent = subprocess.run(
        [sys.executable, "-c", _PARENT, memory],
        env={"ESPALIER_DATABASE_URL": _SECRET, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (_SECRET in parent.stdout) is (memory == "open")
    assert parent.stdout.count("Permission denied") == (0 if memory == "open" else 2)
    assert parent.stdout.rstrip().endswith("1" if memory == "open" else "0")
