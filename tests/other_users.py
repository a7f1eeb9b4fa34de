"""Processes of other users in tests, which need root: their folder, an interpreter that they can run, and what they may read."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.processes import ROOT

SERVICE, TRAINER = 10001, 10002
"""User and group of the service and of its trainers, as the images have them."""


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass through and read; pytest's own are closed to all but one."""
    folder = Path(tempfile.mkdtemp(prefix="espalier-users-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@cache
def environment() -> dict[str, str] | None:
    """``PYTHON``, an interpreter of this version that other users can run, and the PYTHONPATH of its packages; None without one.

    A virtual environment may lead to an interpreter in another user's closed home.
    """
    packages = f"{ROOT}{os.pathsep}{sysconfig.get_path('purelib')}"
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        found = {"PYTHON": python, "PYTHONPATH": packages, "PATH": os.defpath}
        if as_user(TRAINER, [python, "-P", "-c", "import fastapi, torch"], found).returncode == 0:
            return found
    return None


def as_user(user: int, command: Sequence[str], variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``command`` as that user and group, without capabilities."""
    # by way of a shell: what root may execute, the user it becomes for the same call may not
    switch = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "sh", "-c", 'exec "$@"', "sh"]
    return subprocess.run([*switch, *command], env=variables or {"PATH": os.defpath}, capture_output=True, text=True)


def may_read(user: int, file: Path | str) -> bool:
    """Whether a process of that user can read a file or list a folder."""
    return as_user(user, ["sh", "-c", 'if [ -d "$1" ]; then ls "$1"; else head -c 1 "$1"; fi', "sh", str(file)]).returncode == 0
