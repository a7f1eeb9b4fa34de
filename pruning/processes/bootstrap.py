"""Start of this installation's own modules, independent of the working directory and PYTHONPATH.

Python puts the working directory (``python -m``, Celery, uvicorn) and PYTHONPATH before installed packages. A machine learning
project often has an ``api/`` or ``worker/`` of its own, which would run in place of ours. So our programs are started as::

    python -P bootstrap.py MODULE ARGUMENT…

where ``-P`` leaves the working directory out, and :func:`install` makes the names of our packages lead to the folder that this
file was installed into. Every other name is found as usual, PYTHONPATH included.

Called by every process that starts another one of ours, through :func:`python_command`, and by the command ``espalier``. Only
programs may install the finder: in a user's own process ``import worker`` must find the user's own package.
"""

import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = frozenset({"api", "demo", "espalier", "migrations", "pruning", "service", "worker"})
"""The top-level packages of the distribution."""
_FILE = Path(__file__).resolve()
_ROOT = str(_FILE.parents[2])


class OwnPackageFinder:
    """Finds the packages of this installation in the folder that holds them all."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Spec of one of our packages, as in ``importlib.abc.MetaPathFinder``; None for every other name."""
        return PathFinder.find_spec(name, [_ROOT], target) if path is None and name in PACKAGES else None


def install() -> None:
    """Let the names of our packages lead to this installation, for the rest of this process. May be called again."""
    if not any(getattr(finder, "__name__", None) == OwnPackageFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnPackageFinder)


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs ``python -m MODULE ARGUMENT…`` with our own packages in place."""
    return [sys.executable, "-P", str(_FILE), module, *arguments]


def main() -> None:
    """Run the module that the first argument names, as ``python -m`` does."""
    install()
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
