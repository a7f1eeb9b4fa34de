"""Virtual environment of the repository: ``make setup`` runs ``python scripts/set_up.py .venv``. Imports nothing of this project.

Says what it does: how many packages, about how many megabytes, and which package it is at. An environment that does not work,
because its making was interrupted or its interpreter is gone, is made again; one that works is only brought to the locked versions.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_OLDEST, _NEWEST = (3, 11), (3, 14)
"""Versions of Python that the locked torch has builds for; ``requires-python`` says the same."""
_MEGABYTES = 2400
"""Of the environment on disk with torch for processors only; builds for GPUs take some gigabytes more."""
_PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off")
_PACKAGE = re.compile(r"^(?:Collecting|Requirement already satisfied:|Processing) ([\w.\[\],-]+)")


def refusal(version: Sequence[int]) -> str | None:
    """Why this Python cannot be used; None where it can."""
    if _OLDEST <= tuple(version[:2]) <= _NEWEST:
        return None
    have, oldest, newest = (".".join(map(str, numbers[:2])) for numbers in (version, _OLDEST, _NEWEST))
    return f"Espalier needs Python {oldest} to {newest}, this is {have}; run: make setup PYTHON=python{newest}"


def is_usable(folder: Path) -> bool:
    """Whether an environment has an interpreter that starts and a pip that imports."""
    try:
        return subprocess.run([folder / "bin" / "python", "-c", "import pip"], capture_output=True).returncode == 0
    except OSError:  # no interpreter, or a link that leads to none
        return False


def make_environment(folder: Path) -> None:
    """Make the environment, or leave the one that is there and works. Raises subprocess.CalledProcessError."""
    if folder.exists() and is_usable(folder):
        return
    if folder.exists():
        print(f"{folder} does not work (half made, or its Python is gone): it is made again", flush=True)
        shutil.rmtree(folder)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)


def install(python: Path, what: str, total: int, *arguments: str) -> None:
    """``pip install`` with a line of progress. Raises SystemExit with pip's output."""
    command = [str(python), *_PIP, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None  # noqa: S101 - for the type checker: PIPE was given
    lines, seen = [], 0
    for line in process.stdout:
        lines.append(line)
        found = _PACKAGE.match(line)
        if found is not None:
            seen += 1
            _show_progress(f"  {what}: {min(seen, total)}/{total} {found[1]}")
        elif line.startswith("Installing collected packages"):
            _show_progress(f"  {what}: writing {total} packages")
    if process.wait() != 0:
        raise SystemExit(f"\npip failed:\n{''.join(lines[-30:])}run make setup again once that is fixed")
    print(flush=True)


def _show_progress(text: str) -> None:
    """Over the last line on a terminal; elsewhere a dot, for a log would have hundreds of lines."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
    else:
        print(".", end="", flush=True)


def main() -> None:
    """Set up the environment that the first argument names."""
    folder = Path(sys.argv[1])
    if (reason := refusal(sys.version_info[:2])) is not None:
        sys.exit(reason)
    count = len(re.findall(r"(?m)^[\w.-]+==", (ROOT / "requirements.lock").read_text(encoding="utf-8")))
    print(f"{folder}: {count} packages and torch, about {_MEGABYTES} MB; some minutes where nothing is cached", flush=True)
    make_environment(folder)
    python = folder.absolute() / "bin" / "python"
    # in two steps: with digests all but torch, whose builds are many (requirements-torch.lock); it is not looked for in the first
    install(python, "packages", count, "--require-hashes", "--no-deps", "--requirement", "requirements.lock")
    install(python, "torch", 1, "--requirement", "requirements-torch.lock")
    install(python, "Espalier", 1, "--no-deps", "--no-build-isolation", "--editable", ".")


if __name__ == "__main__":
    main()
