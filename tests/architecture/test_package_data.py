"""Files beside the modules: a wheel carries those that ``pyproject.toml`` names as package data."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READ_AT_RUN_TIME = (
    "api/pages/static", "api/pages/templates", "api/static", "pruning/masking/kernels/csrc", "pruning/report/static",
    "pruning/report/templates",
)  # fmt: skip


def package_data() -> set[Path]:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    named = configuration["tool"]["setuptools"]["package-data"]
    return {
        file
        for package, patterns in named.items()
        for pattern in patterns
        for file in ROOT.joinpath(*package.split(".")).glob(pattern)
    }


@pytest.mark.parametrize("folder", READ_AT_RUN_TIME)
def test_files_that_are_read_at_run_time_are_in_the_wheel(folder: str) -> None:
    files = {file for file in (ROOT / folder).iterdir() if file.is_file()}
    assert files
    assert files <= package_data()
