"""Wheel and source distribution in clean environments: ``python -m scripts.check_distributions FOLDER``.

Called by continuous integration. The wheel alone must be a client: it imports, finds no server package, and names the extra that a
command misses. The source distribution with the server and the trainer must run the demo's job with a few steps, from an empty
folder. Downloading torch again would take minutes: in that second environment a ``.pth`` file adds the packages of the running
interpreter, all but the project's own, and the distribution is installed without dependencies. What the extras ask for is compared
with the lock in ``tests/scripts/test_locked_subset.py``.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

_SERVER_PACKAGES = ("fastapi", "sqlalchemy", "celery", "redis", "torch", "transformers", "alembic", "uvicorn")
_CLIENT = f"""
import espalier, importlib.util, sys
found = [name for name in {_SERVER_PACKAGES!r} if importlib.util.find_spec(name)]
sys.exit(f"the client alone brought {{found}}" if found else not (espalier.Client and espalier.AsyncClient))
"""
_TINY_JOB = """
import sys
from pathlib import Path
from demo import __main__ as demo, settings
import pruning
assert Path(pruning.__file__).is_relative_to(sys.prefix), pruning.__file__
settings.SHIPPED_SPEC |= {"max_steps": 20, "train_rows": 640, "validation_rows": 64}
sys.exit(demo.main())
"""


class Environment:
    """A new virtual environment that sees no package of another one, unless they are added."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True, symlinks=True)
        self._folder = folder
        self._bin = folder / "bin"

    def add_packages(self, packages: Path) -> None:
        """Append a folder of packages to the import path; its own ``.pth`` files (editable installs) are not read."""
        (target,) = self._folder.glob("lib/python*/site-packages")
        (target / "added.pth").write_text(f"{packages}\n")

    def install(self, *arguments: str) -> None:
        """``pip install``; downloads come from pip's cache where they were made before."""
        self.run(["python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments], self._folder)

    def run(self, command: Sequence[str], folder: Path, *, code: int = 0) -> str:
        """Standard output and standard error of a command that must end with ``code``. Raises SystemExit."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            [self._bin / command[0], *command[1:]],
            cwd=folder,
            env=environment,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode != code:
            raise SystemExit(f"{' '.join(command[:3])} ended with {done.returncode}, not {code}:\n{done.stdout}")
        return done.stdout


def check_client(wheel: Path, folder: Path) -> None:
    """The wheel without extras. Raises SystemExit."""
    client = Environment(folder / "client")
    client.install(str(wheel))
    client.run(["python", "-c", _CLIENT], folder)
    client.run(["espalier", "--help"], folder)
    refusal = client.run(["espalier", "serve"], folder, code=2)
    if "espalier-pruning[server,train]" not in refusal:
        raise SystemExit(f"espalier serve does not name its extras:\n{refusal}")


def check_service(sdist: Path, folder: Path) -> None:
    """The source distribution with what server and trainer need: a tiny job, end to end. Raises SystemExit."""
    service = Environment(folder / "service")
    service.add_packages(Path(sysconfig.get_path("purelib")))
    service.install("--no-deps", str(sdist))
    empty = folder / "empty"
    empty.mkdir()
    service.run(["python", "-c", _TINY_JOB], empty)


def main() -> None:
    """Check what lies in a folder."""
    parser = argparse.ArgumentParser(description="Install wheel and source distribution into clean environments.")
    parser.add_argument("folder", type=Path, help="where scripts.build_distributions has put them")
    dist = parser.parse_args().folder.resolve()
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory(prefix="espalier-check-") as folder:
        check_client(wheel, Path(folder))
        print(f"{wheel.name}: a client, and nothing else", flush=True)
        check_service(sdist, Path(folder))
        print(f"{sdist.name}: service, trainer and a job of 20 steps")
    sys.exit(0)


if __name__ == "__main__":
    main()
