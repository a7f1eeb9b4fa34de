"""The release before this one, unpacked from the history of the repository, whose processes tests run on this one's tables."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.processes import ROOT, CommandProcess


class NoHistoryError(Exception):
    """Nothing to unpack: no repository, or too little of its history."""


class PreviousRelease:
    """Its code in a folder, run with the packages that are installed here."""

    def __init__(self, folder: Path) -> None:
        """Unpack the last tag or, before there is one, the commit before the newest migration. Raises NoHistoryError."""
        self.folder, self.revision = folder, _git("describe", "--tags", "--abbrev=0") or _before_newest_migration()
        folder.mkdir()
        archive = subprocess.run(["git", "archive", self.revision], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            raise NoHistoryError(f"git archive {self.revision}: {archive.stderr.decode()}")
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], logs: Path, name: str) -> CommandProcess:
        """``python -m …`` of its own packages."""
        variables = {**environment, "PYTHONPATH": str(self.folder)}
        return CommandProcess([sys.executable, "-m", *arguments], variables, logs, name, cwd=self.folder)


def _head(root: Path) -> str:
    """The newest migration of the code in ``root``."""
    config = Config()
    config.set_main_option("script_location", str(root / "migrations"))
    config.set_main_option("path_separator", "os")
    revision = ScriptDirectory.from_config(config).get_current_head()
    assert revision is not None
    return revision


def _before_newest_migration() -> str:
    newest = f"migrations/versions/{_head(ROOT)}_*.py"
    added = _git("log", "--no-renames", "--diff-filter=A", "-1", "--format=%H", "--", newest)
    before = _git("rev-parse", "--verify", "--quiet", f"{added}^" if added else "HEAD")
    if not before:
        raise NoHistoryError(f"the repository has no commit before {newest} (a shallow clone? git fetch --unshallow)")
    return before


def _git(*arguments: str) -> str:
    """Its output; empty where it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NoHistoryError("there is no git") from error
    return done.stdout.strip() if done.returncode == 0 else ""
