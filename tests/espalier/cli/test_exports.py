"""Exports made here and by a service; what is in them is tested in tests/pruning/export."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import espalier
from espalier.cli.main import app
from pruning.export import benchmark
from service.jobs import claims
from service.jobs.fence import Fence
from tests import toy_models
from tests.api.conftest import Jobs
from tests.espalier.cli.conftest import Run
from tests.pruning.export.factories import make_mask


@pytest.fixture(scope="module")
def mask(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    toy_models.make_model(folder / "models" / "bert")
    return make_mask(folder / "mask.safetensors", folder / "models" / "bert")


@pytest.mark.slow
def test_exports_and_their_figures(mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "SECONDS", 0.0)
    command = ["export", str(mask), "--to", "compact", "--to", "csr", "-o", str(tmp_path / "out"), "--json"]
    command += ["--models-dir", str(mask.parent / "models")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    entries = json.loads(done.stdout)
    assert [entry["format"] for entry in entries] == ["compact", "csr"]
    assert entries == json.loads((tmp_path / "out" / "exports.json").read_text())["exports"]
    assert f"compact ({entries[0]['bytes']} bytes): {entries[0]['verdict']}" in " ".join(done.stderr.split())
    assert espalier.load_export(tmp_path / "out" / "csr").predict(["a lovely film"])
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2
    assert str(tmp_path / "out") in "".join(again.stderr.split())


def test_a_failed_export_is_one_line_and_an_exit_code(mask: Path, tmp_path: Path) -> None:
    def run(name: str, models: Path) -> tuple[int, str]:
        command = ["export", str(mask), "--to", name, "-o", str(tmp_path / "out"), "--models-dir", str(models)]
        done = CliRunner().invoke(app, command)
        return done.exit_code, " ".join(done.stderr.split())

    code, said = run("semi-structured", mask.parent / "models")
    assert code == 1
    assert "semi-structured" in said
    assert "GPU" in said
    code, said = run("pickle", mask.parent / "models")
    assert code == 2
    assert "pickle" in said


@pytest.mark.slow
def test_exports_are_requested_awaited_and_listed(espalier: Run, jobs: Jobs, tmp_path: Path) -> None:
    done = jobs.succeeded()
    assert json.loads(espalier("exports", done, "--json")) == []
    export = espalier("exports", done, "--to", "csr", "--to", "onnx").strip()
    with jobs.database.write() as session:
        claims.claim(session, worker_id="w", lease_seconds=600)
    for name in ("export-csr.zip", "export-onnx.zip", "exports.json"):
        jobs.artifact(export, name.encode(), name)
    figures = {"exports": [{"format": "csr", "bytes": 14, "verdict": "no gain: 0.5 times"}]}
    with jobs.database.write() as session:
        claims.succeed(session, Fence(export, 1), result=figures, mask_artifact_id=None)
    assert espalier("exports", done, "--to", "csr", "-o", str(tmp_path / "out")) == f"{export}\n"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"export-csr.zip", "exports.json"}
    assert (tmp_path / "out" / "export-csr.zip").read_bytes() == b"export-csr.zip"
    assert json.loads(espalier("exports", done, "--json"))[0]["id"] == export
    assert "export-csr.zip export-onnx.zip" in espalier("exports", done)
    assert espalier("jobs", "--kind", "export", "--json") == espalier("exports", done, "--json")
