"""Every example of docs/how-to/using-masks.md, run as it stands; only the port and the folder are others, and the model is a toy.

The service has a job that succeeded, with the mask of a real run, and predicts with the real program.
"""

import ast
import contextlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from api.app import create_app
from pruning.export.huggingface import write_folder
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from service.db import migrate
from service.db.engine import Database
from service.jobs import claims
from service.jobs.fence import Fence
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.pruning.runs import make_sources, run_toy

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "using-masks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", TEXT, re.DOTALL)
FILM = "a film to remember"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def artifacts(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("run")
    run_toy(sources, work)
    return work / "artifacts"


@pytest.fixture(scope="module")
def served(sources: Sources, artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address of a service and the id of its job."""
    folder = tmp_path_factory.mktemp("service")
    settings = Settings(data_dir=folder, models_dir=sources.models_dir, hub_enabled=False)
    migrate.upgrade(settings.database_url)
    database = Database(settings.database_url)
    jobs = Jobs(database, folder)
    job_id = jobs.running(model="bert")
    for name in ("report.html", "mask.safetensors"):
        mask = jobs.artifact(job_id, (artifacts / name).read_bytes(), name, chunk_bytes=4096)
    with database.write() as session:
        claims.succeed(session, Fence(job_id, 1), result={}, mask_artifact_id=mask)
    database.dispose()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", job_id
        server.should_exit = True
        thread.join(30)


def blocks(kind: str, *words: str) -> list[str]:
    found = [text for language, text in BLOCKS if language == kind and any(word in text for word in words)]
    assert len(found) == len(words), words
    return found


def run_here(program: str, **names: str) -> str:
    """What a program prints, run in this process."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, dict(names))
    return printed.getvalue()


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == 8


def test_over_http(served: tuple[str, str], artifacts: Path, sources: Sources, tmp_path: Path) -> None:
    address, job_id = served
    label, probabilities = (
        getattr(load_pruned(artifacts / "mask.safetensors", sources=sources).predictions([FILM])[0], name)
        for name in ("label", "probabilities")
    )
    shell = f'espalier() {{ "{sys.executable}" -m espalier.cli "$@"; }}\n'
    variables = {**os.environ, "ID": job_id, "ESPALIER_URL": f"http://{address}", "PYTHONPATH": str(ROOT)}
    download, ask = blocks("sh", "download", "curl")
    done = subprocess.run(
        ["bash", "-ec", shell + download + ask.replace("localhost:8000", address)],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").read_bytes() == (artifacts / "report.html").read_bytes()
    assert f'"label":"{label}"' in done.stdout
    assert done.stdout.endswith(f"{label}\t{probabilities[label]:.4f}\n")
    (program,) = blocks("python", "client.predict(")
    assert run_here(program.replace("127.0.0.1:8000", address), job_id=job_id) == f"{label} {probabilities}\n"


def test_a_whole_file(served: tuple[str, str], artifacts: Path, sources: Sources, tmp_path: Path) -> None:
    address, job_id = served
    texts = [FILM if i % 3 else f"dull {i}" for i in range(130)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"id": i, "sentence": text}) + "\n" for i, text in enumerate(texts)))
    (command,) = blocks("sh", "--file")
    shell = f'espalier() {{ "{sys.executable}" -m espalier.cli "$@"; }}\n'
    variables = {**os.environ, "ID": job_id, "ESPALIER_URL": f"http://{address}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-ec", shell + command], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in (tmp_path / "predicted.jsonl").read_text().splitlines()]
    assert [(row["id"], row["sentence"]) for row in found] == list(enumerate(texts))
    pruned = load_pruned(artifacts / "mask.safetensors", sources=sources)
    for row in found[::13]:
        (alone,) = pruned.predictions(row["sentence"])
        assert (row["prediction"]["value"], row["prediction"]["label"]) == (alone.value, alone.label)
        assert row["prediction"]["probabilities"] == pytest.approx(alone.probabilities, abs=1e-5)
    (program,) = blocks("python", "client.predict_rows")
    printed = run_here(program.replace("127.0.0.1:8000", address), job_id=job_id)
    assert printed == f"1 {found[1]['prediction']['label']}\n"


def test_in_python(sources: Sources, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mask.safetensors", "mask.espalier"):
        shutil.copy(artifacts / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPALIER_MODELS_DIR", str(sources.models_dir))
    one, many = blocks("python", "load_pruned", "MaskBank")
    labels, predicted, prediction = run_here(one).splitlines()
    assert labels == "('negative', 'positive')"
    assert predicted in ("[0]", "[1]")
    assert prediction.startswith(f"Prediction(value={predicted[1]}, label=")
    assert run_here(many, base="bert").splitlines() == [predicted, predicted]


def test_a_stock_folder(sources: Sources, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(artifacts / "mask.safetensors", "folder", sources=sources)
    (program,) = blocks("python", "pipeline")
    (expected,) = load_pruned(artifacts / "mask.safetensors", sources=sources).predictions([FILM])
    found = {each["label"]: each["score"] for each in ast.literal_eval(run_here(program))}
    assert found == pytest.approx(expected.probabilities, abs=1e-6)
