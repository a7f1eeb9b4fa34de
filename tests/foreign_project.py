"""A user's project with packages named like ours (``api``, ``worker``, ...), as machine learning projects have them."""

import os
import sys
from pathlib import Path

from pruning.processes.bootstrap import PACKAGES

ESPALIER = str(Path(sys.executable).with_name("espalier"))
"""The command as it is installed."""
_NAMES = PACKAGES - {"espalier"} | {"jobs"}


def make_project(folder: Path) -> Path:
    """``folder`` with packages that end every process that imports one of them, and a module ``mine`` of its own."""
    for name in _NAMES:
        (folder / name).mkdir(parents=True)
        for file in ("__init__.py", "__main__.py"):
            (folder / name / file).write_text(f"raise SystemExit('the package {name} of the project was imported')\n")
    (folder / "mine.py").write_text("")
    return folder


def project_environment(folder: Path) -> dict[str, str]:
    """The environment of a shell in which the project is on PYTHONPATH and the command ``espalier`` on PATH."""
    return {"PYTHONPATH": str(folder), "PATH": os.pathsep.join([str(Path(ESPALIER).parent), os.environ.get("PATH", "")])}
