"""Release of a version: ``python -m scripts.release``, from a clean checkout that was tested.

Refuses what is not clean, naming everything at once: changes that are not committed, a version without an entry in ``CHANGELOG.md``
(or with changes still under Unreleased), tests that did not run on this very commit (``.ci/run`` writes its hash into
``build/tested-commit``), a tag that exists. Then builds the distributions into ``dist/`` and makes the tag; a person
decides what is pushed or uploaded.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.build_distributions import ROOT, build

TESTED = Path("build", "tested-commit")
"""Written by ``.ci/run`` once everything passed."""
_VERSION = re.compile(r'^__version__ = "(\d+\.\d+\.\d+)"$', re.MULTILINE)


class ReleaseRefusedError(Exception):
    """Reasons why this checkout cannot be released."""


def version(root: Path) -> str:
    """The version that ``pruning/__init__.py`` has. Raises ReleaseRefusedError unless it has three numbers."""
    found = _VERSION.search((root / "pruning" / "__init__.py").read_text(encoding="utf-8"))
    if found is None:
        raise ReleaseRefusedError('pruning/__init__.py has no line __version__ = "MAJOR.MINOR.PATCH"')
    return found[1]


def faults(root: Path) -> Iterator[str]:
    """Everything that stands against a release, with its remedy. Raises ReleaseRefusedError, subprocess.CalledProcessError."""
    wanted = version(root)
    if changed := _git(root, "status", "--porcelain"):
        yield f"the tree has {len(changed.splitlines())} changes that are not committed; commit or remove them"
    yield from _changelog_faults((root / "CHANGELOG.md").read_text(encoding="utf-8"), wanted)
    head = _git(root, "rev-parse", "HEAD")
    tested = (root / TESTED).read_text(encoding="utf-8").strip() if (root / TESTED).is_file() else "none"
    if tested != head:
        yield f"tests ran last on commit {tested[:12]}, this is {head[:12]}; run .ci/run"
    if _git(root, "tag", "--list", f"v{wanted}"):
        yield f"tag v{wanted} exists; raise __version__ in pruning/__init__.py"


def _changelog_faults(text: str, wanted: str) -> Iterator[str]:
    sections = dict(re.findall(r"(?ms)^## \[([^\]]+)\](.*?)(?=^## \[|\Z)", text))
    entry = sections.get(wanted)
    if entry is None:
        yield f"CHANGELOG.md has no section [{wanted}]; write it, with the date"
    elif not re.match(r" - \d{4}-\d{2}-\d{2}\n", entry) or "\n- " not in entry:
        yield f"section [{wanted}] of CHANGELOG.md needs a date (## [{wanted}] - YYYY-MM-DD) and at least one change"
    if "\n- " in sections.get("Unreleased", ""):
        yield f"CHANGELOG.md has changes under [Unreleased]; move them to [{wanted}]"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip()


def release(root: Path) -> str:
    """Make the tag, and return it. Raises ReleaseRefusedError with all faults."""
    if found := list(faults(root)):
        raise ReleaseRefusedError("\n".join(found))
    tag = f"v{version(root)}"
    _git(root, "tag", "--annotate", tag, "--message", f"Version {tag[1:]}")
    return tag


def main() -> None:
    """Check, build and tag."""
    try:
        if found := list(faults(ROOT)):
            raise ReleaseRefusedError("\n".join(found))
        shutil.rmtree(ROOT / "dist", ignore_errors=True)
        built = build(ROOT / "dist")
        print(built.wheel, built.sdist, release(ROOT), sep="\n")
    except ReleaseRefusedError as refusal:
        sys.exit(f"not released:\n{refusal}")


if __name__ == "__main__":
    main()
