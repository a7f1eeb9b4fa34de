"""Jobs on an uploaded model, by the real trainer, exporter and prediction process, with its files in the database or as objects."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.app import create_app
from espalier import load_export
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from service.db.models import Job, UploadedModel
from service.states import Status
from tests import toy_datasets, toy_models
from tests.api.conftest import local
from tests.api.problems import assert_problem
from tests.worker.conftest import WorkerHarness
from worker.files import model_cache
from worker.run.supervisor import supervise

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TEXTS = ["a lovely film", "a dull book"]
SPEC = {"task": "sst2", "max_steps": 3, "batch_size": 8, "seed": 1, "max_length": 16}


@dataclass
class Service:
    """A service, one of its workers, and a model folder that lies with the user alone."""

    harness: WorkerHarness
    client: TestClient
    folder: Path

    def push(self) -> str:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for file in self.folder.iterdir():
                archive.write(file, file.name)
        answer = self.client.post("/v1/models", files={"file": ("toy.zip", packed.getvalue())}, data={"name": "mine"})
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["id"])

    def run(self, path: str, body: dict[str, Any]) -> Job:
        """Post a job and run it; its row afterwards."""
        answer = self.client.post(path, json=body)
        assert answer.status_code == 202, answer.text
        supervise(self.harness.claim(), self.harness.context)
        job = self.harness.job(answer.json()["id"])
        assert job.status is Status.SUCCEEDED, self.client.get(f"/v1/jobs/{job.id}/log").text
        return job

    def download(self, job: Job, name: str, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        content = self.client.get(f"/v1/jobs/{job.id}/artifacts/{name}").raise_for_status().content
        (folder / name).write_bytes(content)
        return folder / name

    def cached(self) -> set[str]:
        root = model_cache.models_folder(self.harness.context.settings.data_dir)
        return {entry.name for entry in root.iterdir() if entry.is_dir()}

    def evict_all(self) -> None:
        nothing = self.harness.context.settings.model_copy(update={"model_cache_bytes": 0})
        model_cache.evict(self.harness.context.database, nothing)


@pytest.fixture(params=["database", "objects"])
def service(request: pytest.FixtureRequest, harness: WorkerHarness, tmp_path: Path) -> Iterator[Service]:
    url = request.getfixturevalue("storage_url") if request.param == "objects" else None
    settings = harness.context.settings.model_copy(
        update={
            "storage_url": url,
            "predictions_enabled": True,
            "predictions_seconds": 300.0,
            "hub_enabled": False,
            "datasets_dir": tmp_path / "datasets",
        }
    )
    harness.context.settings = settings
    toy_datasets.make_opinions(tmp_path / "datasets" / "sst2", train=32, validation=16)
    folder = toy_models.make_model(tmp_path / "user" / "toy")
    with local(create_app(settings)) as client:
        yield Service(harness, client, folder)


@pytest.mark.parametrize("service", [pytest.param("database", marks=pytest.mark.exhaustive), "objects"], indirect=True)
def test_a_job_on_an_uploaded_model_from_push_to_predictions(service: Service, tmp_path: Path) -> None:
    model = service.push()
    job = service.run("/v1/jobs", SPEC | {"model": model})
    assert service.cached() == {model}

    mask = service.download(job, "mask.safetensors", tmp_path / "mask")
    pruned = load_pruned(mask, model=service.folder)
    sources = Sources(datasets_dir=tmp_path / "datasets", hub=False)
    assert job.result is not None
    assert evaluate_mask(pruned, sources) == job.result["final"]

    asked = service.client.post(f"/v1/jobs/{job.id}/predictions", json={"texts": TEXTS})
    assert asked.status_code == 200, asked.text
    expected = pruned.predict(TEXTS)
    assert [row["value"] for row in asked.json()["data"]] == expected

    service.evict_all()
    assert service.cached() == set()
    export = service.run(f"/v1/jobs/{job.id}/exports", {"formats": ["compact"]})
    assert service.cached() == {model}
    archive = service.download(export, "export-compact.zip", tmp_path / "export")
    assert load_export(archive).predict(TEXTS) == expected

    assert service.client.delete(f"/v1/models/{model}").status_code == 204
    paths = {"predictions": {"texts": TEXTS}, "exports": {"formats": ["csr"]}}
    for path, body in paths.items():
        answer = service.client.post(f"/v1/jobs/{job.id}/{path}", json=body)
        assert_problem(answer, 404, "uploaded_model_not_found")
    again = service.client.post(f"/v1/jobs/{job.id}/exports", json={"formats": ["compact"]})
    assert again.json()["id"] == export.id  # they are there already
    assert service.push() == model
    asked = service.client.post(f"/v1/jobs/{job.id}/predictions", json={"texts": TEXTS})
    assert [row["value"] for row in asked.json()["data"]] == expected


def test_a_model_stays_while_a_job_waits_and_a_job_without_its_model_is_not_repeated(service: Service) -> None:
    model = service.push()
    job = service.client.post("/v1/jobs", json=SPEC | {"model": model}).json()["id"]
    assert_problem(service.client.delete(f"/v1/models/{model}"), 409, "model_in_use")
    service.client.post(f"/v1/jobs/{job}/cancel")
    assert service.client.delete(f"/v1/models/{model}").status_code == 204
    assert_problem(service.client.post(f"/v1/jobs/{job}/retry"), 404, "uploaded_model_not_found")


def test_a_job_whose_model_is_gone_when_it_starts_fails_and_says_so(service: Service) -> None:
    model = service.push()
    job = service.client.post("/v1/jobs", json=SPEC | {"model": model}).json()["id"]
    with service.harness.context.database.write() as session:  # by an operator's hand
        session.execute(update(UploadedModel).values(complete=False))
    supervise(service.harness.claim(), service.harness.context)
    failed = service.client.get(f"/v1/jobs/{job}").json()
    assert (failed["status"], failed["error"]["code"]) == ("failed", "model_not_found")
