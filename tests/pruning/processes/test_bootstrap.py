"""Start of our own modules from any folder: a project's own ``worker/`` or ``api/`` does not take their place."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pruning.processes.bootstrap import PACKAGES, python_command
from tests.foreign_project import make_project
from tests.processes import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.mark.parametrize("on_path", [False, True])
def test_a_module_of_ours_runs_in_a_project_with_packages_of_the_same_names(project: Path, on_path: bool) -> None:
    environment = os.environ | ({"PYTHONPATH": str(project)} if on_path else {})
    done = subprocess.run(python_command("pruning", "--help"), cwd=project, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m pruning")


def test_all_our_packages_are_found_and_modules_of_pythonpath_as_well(project: Path) -> None:
    code = (
        "import runpy, sys, importlib.util\n"
        f"runpy.run_path({python_command('x')[2]!r})['install']()\n"
        "import mine\n"
        f"print(*(importlib.util.find_spec(name).origin for name in {sorted(PACKAGES)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=os.environ | {"PYTHONPATH": str(project)}, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(ROOT / name / "__init__.py") for name in sorted(PACKAGES)]


def test_the_packages_are_those_of_the_distribution() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {pattern.removesuffix("*") for pattern in patterns} == PACKAGES


def test_arguments_and_exit_codes_are_those_of_python_m() -> None:
    done = subprocess.run(
        python_command("timeit", "-n1", "-r1", "import sys; print(sys.argv, __name__)"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "timeit.py', '-n1', '-r1', " in done.stdout
    assert subprocess.run(python_command("pruning", "no-such-command"), capture_output=True).returncode == 2
