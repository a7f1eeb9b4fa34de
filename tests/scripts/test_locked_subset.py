"""The part of the lock that an image gets: all that the package and its extras ask for, each with its digests."""

import re
import tomllib

import pytest

from scripts.lock import without_torch
from scripts.locked_subset import entries, normalized, requirements
from tests.processes import ROOT

LOCK = entries((ROOT / "requirements.lock").read_text())
TORCH = entries((ROOT / "requirements-torch.lock").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = re.findall(r"locked_subset\.py ([\w ]+) >", (ROOT / "Dockerfile").read_text())


def test_entries_are_read_with_all_their_lines() -> None:
    text = "# a comment\nFlask_Cors==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nnext==2 \\\n    --hash=sha256:cc\n"
    assert entries(text) == {
        "flask-cors": "Flask_Cors==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb",
        "next": "next==2 \\\n    --hash=sha256:cc",
    }


@pytest.mark.parametrize("extras", EXTRAS)
def test_the_lock_has_what_an_image_asks_for(extras: str) -> None:
    asked = {normalized(re.split(r"[\[>=<; ]", line)[0]) for line in requirements(PROJECT, extras.split())}
    assert asked - set(LOCK) <= {"torch"}


def test_all_but_torch_has_digests() -> None:
    assert len(EXTRAS) == 2
    assert set(TORCH) == {"torch"}
    assert not set(TORCH) & set(LOCK)
    assert all("--hash=sha256:" in entry for entry in LOCK.values())


def test_the_lock_fits_the_project_and_has_nothing_of_torchs_builds() -> None:
    asked = {
        normalized(re.split(r"[\[>=<; ]", line)[0])
        for line in requirements(PROJECT, PROJECT["project"]["optional-dependencies"].keys() - {"all"})
    }
    assert asked - set(LOCK) <= {"torch"}, "run: make lock"
    assert without_torch((ROOT / "requirements.lock").read_text()) == (ROOT / "requirements.lock").read_text()
    assert without_torch("torch==1 \\\n    --hash=sha256:aa\nnvidia-x==1\nrich==1 \\\n    --hash=sha256:bb\n").count("==") == 1
