"""Set-up of the environment: which Python it refuses, and that a broken environment is made again."""

import re
import sys
from pathlib import Path

import pytest

from scripts import set_up
from tests.processes import ROOT


@pytest.mark.parametrize(("version", "usable"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 14, 2), True), ((3, 15, 0), False)])
def test_the_versions_of_python(version: tuple[int, ...], usable: bool) -> None:
    reason = set_up.refusal(version)
    assert (reason is None) == usable
    assert usable or "3.11 to 3.14" in str(reason)


def test_they_are_those_of_the_distribution() -> None:
    found = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', (ROOT / "pyproject.toml").read_text())
    assert found is not None
    oldest, beyond = int(found[1]), int(found[2])
    assert (set_up.refusal((3, oldest)), set_up.refusal((3, beyond - 1))) == (None, None)
    assert set_up.refusal((3, oldest - 1))
    assert set_up.refusal((3, beyond))


@pytest.mark.parametrize("broken", ["half made", "interpreter gone"])
def test_a_broken_environment_is_made_again(broken: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    (folder / "leftover").touch()
    if broken == "interpreter gone":
        (folder / "bin" / "python").symlink_to(tmp_path / "no-such-python")
    assert not set_up.is_usable(folder)
    set_up.make_environment(folder)
    assert set_up.is_usable(folder)
    assert not (folder / "leftover").exists()
    assert "made again" in capfd.readouterr().out
    (folder / "kept").touch()
    set_up.make_environment(folder)
    assert (folder / "kept").exists(), "one that works stays"


def test_a_failure_of_pip_is_shown() -> None:
    with pytest.raises(SystemExit, match="no-such-file"):
        set_up.install(Path(sys.executable), "nothing", 1, "--requirement", "no-such-file.txt")
