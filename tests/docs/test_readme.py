"""Every example of the README, run as it stands: only the port is another, and a toy lies where the hub's model would."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from espalier.client._sync.client import Client
from tests.serving import espalier_serve
from tests.toy_datasets import make_opinions
from tests.toy_models import make_model

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def block(kind: str, word: str) -> str:
    (found,) = [text for language, text in BLOCKS if language == kind and word in text]
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    make_model(folder / "models" / "distilbert" / "distilbert-base-uncased", "distilbert")
    make_opinions(folder / "datasets" / "sst2", train=128, validation=32)
    return folder


@pytest.fixture(scope="module")
def environment(site: Path) -> dict[str, str]:
    return {
        "ESPALIER_MODELS_DIR": str(site / "models"),
        "ESPALIER_DATASETS_DIR": str(site / "datasets"),
        "ESPALIER_TRAINER_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="module")
def address(site: Path, environment: dict[str, str]) -> Iterator[str]:
    with espalier_serve(site, environment) as url:
        yield url.removeprefix("http://")


def test_the_curl_example(address: str, environment: dict[str, str], tmp_path: Path) -> None:
    post, rest = block("sh", "curl").replace("localhost:8000", address).split("# 202")
    answer = subprocess.run(["bash", "-ec", post], capture_output=True, text=True, check=True, timeout=60)
    job_id = re.search(r'"id":"([^"]+)"', answer.stdout)
    assert job_id is not None
    job = job_id[1]
    status, events, download = rest.splitlines()[1:]
    printed = _bash(status, job, environment, tmp_path)
    assert '"status"' in printed
    assert "event: end" in _bash(events, job, environment, tmp_path)  # the stream lasts as long as the job
    with Client(f"http://{address}") as client:
        assert client.get(job).status == "succeeded", client.get(job).error
    _bash(download, job, environment, tmp_path)
    assert (tmp_path / "mask.safetensors").stat().st_size > 1000


def _bash(command: str, job: str, environment: dict[str, str], folder: Path) -> str:
    variables = {**os.environ, **environment, "ID": job}
    done = subprocess.run(
        ["bash", "-ec", command], env=variables, cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def test_the_python_example(address: str, environment: dict[str, str], tmp_path: Path) -> None:
    program = block("python", "Client").replace("127.0.0.1:8000", address)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("[0]", "[1]")
