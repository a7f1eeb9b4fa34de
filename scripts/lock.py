"""Lock of all requirements with the digests of their files: ``make lock``, after any change of dependencies in ``pyproject.toml``.

Versions stay as they are where they still fit; ``python -m scripts.lock --upgrade`` takes the newest. uv resolves, for every Python
that the project supports, in an environment of its own that is thrown away. torch, Triton and the libraries of torch's builds are
left out: ``requirements-torch.lock`` says why, and has torch's version, which is taken from there.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from scripts.locked_subset import ROOT, entries

_LEFT_OUT = re.compile(r"(torch|triton|nvidia|cuda|espalier)\b")
LOCK = ROOT / "requirements.lock"
_HEAD = """# Exact versions with the digests of all their files, for 'make' and for images: pip refuses any other file. torch is in
# requirements-torch.lock, which says why. Made by 'make lock'.
"""


def without_torch(lock: str) -> str:
    """The text of a lock without what comes with torch's builds, under its heading."""
    kept = [entry for name, entry in sorted(entries(lock).items()) if not _LEFT_OUT.match(name)]
    return _HEAD + "\n".join(kept) + "\n"


def resolve(folder: Path, *, upgrade: bool) -> str:
    """The text of a complete lock. Raises subprocess.CalledProcessError."""
    venv.create(folder / "uv", with_pip=True, symlinks=True)
    python = str(folder / "uv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"], check=True)
    found = folder / "requirements.lock"
    if not upgrade:
        found.write_text(LOCK.read_text(encoding="utf-8"), encoding="utf-8")  # uv keeps the versions that it finds there
    command = [python, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += [
        "--extra",
        "all",
        "--extra",
        "dev",
        "--extra",
        "docs",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--no-strip-markers",
    ]
    command += ["--constraint", "requirements-torch.lock", "--output-file", str(found), "pyproject.toml"]
    subprocess.run(command, cwd=ROOT, check=True)
    return found.read_text(encoding="utf-8")


def main() -> None:
    """Write ``requirements.lock``, and name what changed."""
    parser = argparse.ArgumentParser(description="Write requirements.lock from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions of everything")
    before = entries(LOCK.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="espalier-lock-") as folder:
        text = without_torch(resolve(Path(folder), upgrade=parser.parse_args().upgrade))
    LOCK.write_text(text, encoding="utf-8")
    after = entries(text)
    for name in sorted({*before, *after}):
        old, new = (lock[name].split()[0] if name in lock else "-" for lock in (before, after))
        if old != new:
            print(f"{name}: {old} → {new}", file=sys.stderr)


if __name__ == "__main__":
    main()
