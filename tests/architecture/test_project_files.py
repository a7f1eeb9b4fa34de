"""Files for contributors: paths that CONTRIBUTING names exist, and the workflow runs ``.ci/run`` on every supported Python."""

import json
import re
import tomllib
from typing import Any

import yaml

from tests.processes import ROOT

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))


def test_every_path_that_contributors_are_sent_to_exists() -> None:
    paths = re.findall(r"`((?:\.?[\w-]+/)+[\w.-]+)`", CONTRIBUTING) + re.findall(r"\]\(([\w/.-]+)\)", CONTRIBUTING)
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / path).exists() and not path.startswith((".venv/", "build/"))]


def test_the_workflow_runs_the_script_on_every_python_of_the_distribution() -> None:
    job = WORKFLOW["jobs"]["ci"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == named
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert all(len({"uses", "run"} & step.keys()) == 1 for step in job["steps"])


def test_verbs_of_contributors_are_those_of_the_makefile() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert set(re.findall(r"`make ([a-z-]+)`", CONTRIBUTING)) <= targets


def test_hooks_run_the_tools_of_the_environment() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert {hook["id"] for hook in hooks} == {"ruff", "format", "mypy", "contracts", "spelling"}
    assert all(".venv/bin/" in hook["entry"] and hook["language"] == "system" for hook in hooks)


def test_the_container_for_development_has_the_services_of_the_workflow() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    *_, packages, verb = re.split(r"--no-install-recommends | && ", container["postCreateCommand"])
    installed = next(step["run"] for step in WORKFLOW["jobs"]["ci"]["steps"] if "apt-get" in step.get("run", ""))
    assert {*packages.split()} >= {*installed.rpartition("--no-install-recommends ")[2].split()} | {"postgresql", "chromium"}
    assert verb == "make setup"
