"""The service started in a user's own project that has packages named like ours: from a job to its mask, export, prediction."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.foreign_project import ESPALIER, make_project, project_environment
from tests.processes import CommandProcess
from tests.toy_datasets import make_opinions
from tests.toy_models import make_model

SPEC = {"model": "toy", "task": "sst2", "sparsity": 0.9, "max_steps": 4, "batch_size": 8, "max_length": 32}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, project: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("site")
    make_model(folder / "models" / "toy")
    make_opinions(folder / "datasets" / "sst2")
    return project_environment(project) | {
        "ESPALIER_MODELS_DIR": str(folder / "models"),
        "ESPALIER_DATASETS_DIR": str(folder / "datasets"),
        "ESPALIER_DATA_DIR": str(folder / "data"),
        "ESPALIER_HUB_ENABLED": "false",
        "ESPALIER_TRAINER_THREADS": "1",
        "ESPALIER_PREDICTIONS_ENABLED": "true",
    }


@pytest.fixture(scope="module")
def url(project: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = [ESPALIER, "serve", "--port", "0"]
    with CommandProcess(command, environment, tmp_path_factory.mktemp("logs"), "serve", cwd=project) as serve:
        yield serve.wait_for_line("Espalier listens on", seconds=60).split("listens on ")[1].split()[0]
        serve.process.terminate()
        assert serve.wait(60) == 0


def espalier(project: Path, environment: dict[str, str], *arguments: str) -> Any:
    done = subprocess.run([ESPALIER, *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_job_becomes_a_mask_an_export_and_a_prediction(
    project: Path, environment: dict[str, str], url: str, tmp_path: Path
) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(SPEC | {"exports": ["csr"]}))
    given = ["run", "--spec", str(tmp_path / "spec.json"), "-o", str(tmp_path / "mask.safetensors")]
    job = espalier(project, environment, *given, "--json", "--url", url)
    assert job["status"] == "succeeded"
    assert {"mask.safetensors", "export-csr.zip"} <= {artifact["name"] for artifact in job["artifacts"]}
    (row,) = espalier(project, environment, "predict", job["id"], "a lovely film", "--json", "--url", url)
    (here,) = espalier(project, environment, "predict", str(tmp_path / "mask.safetensors"), "a lovely film", "--json")
    assert row["label"] == here["label"]
    findings = espalier(project, environment, "doctor", "--json", "--url", url)
    assert {finding["state"] for finding in findings} <= {"ok", "note"}
