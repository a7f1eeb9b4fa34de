"""Release script: each thing that is not clean is refused by itself, and all of them at once."""

import subprocess
from pathlib import Path

import pytest

from scripts.release import TESTED, ReleaseRefusedError, faults, release

CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n\n### Added\n\n- Something.\n\n## [1.2.2] - 2026-01-01\n"


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def mark_tested(root: Path) -> None:
    (root / TESTED).parent.mkdir(exist_ok=True)
    (root / TESTED).write_text(git(root, "rev-parse", "HEAD") + "\n")


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", "x")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository that could be released."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "a")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    (tmp_path / "pruning").mkdir()
    (tmp_path / "pruning" / "__init__.py").write_text('"""x"""\n\n__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / ".gitignore").write_text("build/\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    mark_tested(tmp_path)
    return tmp_path


def test_what_is_clean_is_tagged_once(root: Path) -> None:
    assert release(root) == "v1.2.3"
    assert git(root, "tag", "--list") == "v1.2.3"
    with pytest.raises(ReleaseRefusedError, match=r"v1\.2\.3"):
        release(root)


def test_a_dirty_tree(root: Path) -> None:
    (root / "new.txt").write_text("x")
    assert [fault.split(";")[0] for fault in faults(root)] == ["the tree has 1 changes that are not committed"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("## [1.2.3] - 2026-11-30", "## [1.3.0] - 2026-11-30", "no section [1.2.3]"),
        (" - 2026-11-30", "", "needs a date"),
        ("\n- Something.", "", "needs a date"),
        ("[Unreleased]\n", "[Unreleased]\n\n- More.\n", "under [Unreleased]"),
    ],
)
def test_a_version_without_its_entry(root: Path, old: str, new: str, words: str) -> None:
    assert old in CHANGELOG
    (root / "CHANGELOG.md").write_text(CHANGELOG.replace(old, new, 1))
    commit(root)
    mark_tested(root)
    (fault,) = faults(root)
    assert words in fault


def test_tests_that_ran_on_another_commit_or_never(root: Path) -> None:
    git(root, "commit", "-qm", "later", "--allow-empty")
    assert [".ci/run" in fault for fault in faults(root)] == [True]
    (root / TESTED).unlink()
    assert ["none" in fault for fault in faults(root)] == [True]


def test_all_faults_are_named_at_once_and_nothing_is_tagged(root: Path) -> None:
    (root / "CHANGELOG.md").write_text("# Changelog\n")
    (root / TESTED).unlink()
    with pytest.raises(ReleaseRefusedError) as refused:
        release(root)
    assert len(str(refused.value).splitlines()) == 3
    assert git(root, "tag", "--list") == ""


def test_a_version_that_is_none(root: Path) -> None:
    (root / "pruning" / "__init__.py").write_text('__version__ = "1.2.dev"\n')
    with pytest.raises(ReleaseRefusedError, match="MAJOR"):
        list(faults(root))
