"""Part of ``requirements.lock`` that an image needs: ``python scripts/locked_subset.py EXTRA… > subset.lock``.

Called by the Dockerfile, before anything of this project can be imported. pip installs with digests only what is pinned one by
one, and an image has no use for the tools of the repository: so pip resolves what the package needs with these extras, in the
locked versions, and prints nothing but names; their lines of the lock are what is installed. torch and the libraries of its
builds have no digest (``requirements-torch.lock``) and are left out.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_ENTRY = re.compile(r"(?m)^(?P<name>[\w.-]+)==(?P<version>\S+)[^\n]*(\n[ \t]+[^\n]*)*")
"""A package of a lock with the lines of its digests."""


def normalized(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(*locks: str) -> dict[str, str]:
    """Entries of the texts of locks by normalized name."""
    return {normalized(found["name"]): found[0] for lock in locks for found in _ENTRY.finditer(lock)}


def requirements(project: dict[str, object], extras: Iterable[str]) -> list[str]:
    """What the package of a decoded ``pyproject.toml`` asks for with these extras. Raises KeyError for an extra it has not."""
    about = project["project"]
    assert isinstance(about, dict)  # noqa: S101 - our own file
    return [*about["dependencies"], *(line for extra in extras for line in about["optional-dependencies"][extra])]


def resolve(wanted: Sequence[str], locked: Iterable[str]) -> set[str]:
    """Normalized names of all packages that ``wanted`` leads to in the versions of ``locked``. Raises CalledProcessError."""
    pinned = "\n".join(re.sub(r"\s.*", "", entry, flags=re.DOTALL) for entry in locked)
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder, "constraints"), Path(folder, "report")
        constraints.write_text(pinned)
        dry = ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        command = [sys.executable, "-m", "pip", *dry, "--constraint", str(constraints), *wanted]
        subprocess.run(command, check=True, stdout=sys.stderr)
        installed = json.loads(report.read_text())["install"]
    return {normalized(one["metadata"]["name"]) for one in installed}


def main() -> None:
    """Print the part of the lock."""
    lock = (ROOT / "requirements.lock").read_text()
    torch = (ROOT / "requirements-torch.lock").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = resolve(requirements(project, sys.argv[1:]), entries(lock, torch).values())
    print("\n".join(entry for name, entry in sorted(entries(lock).items()) if name in needed))


if __name__ == "__main__":
    main()
