"""Build of wheel and source distribution: ``python -m scripts.build_distributions FOLDER``.

Called by ``make dist``, the release script and the check of distributions. The files are those that git tracks, so that nothing
that lies about gets in, and the wheel is made from the unpacked source distribution, so that the one proves the other. The
installed setuptools is the build backend: no network is needed.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_HOOK = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
"""A hook of PEP 517 with the folder for its result; it prints file names of its own choice, so the folder is read instead."""


@dataclass(frozen=True)
class Distributions:
    """Paths of what was built."""

    wheel: Path
    sdist: Path


def build(output: Path) -> Distributions:
    """Build both into ``output``, which must be empty or missing. Raises FileExistsError, subprocess.CalledProcessError."""
    output = output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    if any(output.iterdir()):
        raise FileExistsError(f"{output} is not empty: name another folder, or remove what it holds")
    with tempfile.TemporaryDirectory(prefix="espalier-build-") as folder:
        source, unpacked = Path(folder, "source"), Path(folder, "unpacked")
        _copy_tracked(source)
        _run_hook("build_sdist", source, output)
        (sdist,) = output.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(unpacked, filter="data")
        (project,) = unpacked.iterdir()
        _run_hook("build_wheel", project, output)
    (wheel,) = output.glob("*.whl")
    return Distributions(wheel, sdist)


def _copy_tracked(target: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S607
    for name in filter(None, listed.stdout.split("\0")):
        if not (ROOT / name).exists():  # deleted, and not committed yet
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target / name)


def _run_hook(hook: str, project: Path, output: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HOOK, hook, str(output)], cwd=project, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()


def main() -> None:
    """Build, and print the paths."""
    parser = argparse.ArgumentParser(description="Build wheel and source distribution from the tracked files.")
    parser.add_argument("folder", type=Path, help="where they are put; empty, or not there yet")
    built = build(parser.parse_args().folder)
    print(built.wheel, built.sdist, sep="\n")


if __name__ == "__main__":
    main()
