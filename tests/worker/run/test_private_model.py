"""Private models: the hub token is set over HTTP, used by the real trainer and exporter, and appears nowhere.

What they make lies in an object storage.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from espalier import load_export
from pruning.formats import mask_file
from service.artifacts import store
from service.artifacts.s3 import open_bucket
from service.db.engine import Database
from service.db.models import Job
from service.jobs import claims
from service.jobs.fence import Fence
from service.states import Status
from tests import object_store, toy_datasets, toy_models
from tests.api.conftest import local
from tests.fake_hub import FakeHub, Response, serving
from tests.pruning.export.factories import make_mask
from tests.service import factories
from tests.worker.conftest import WorkerHarness
from tests.worker.run.test_hub_token import everything_stored
from worker.run.supervisor import supervise

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TOKEN = "hf_QWxhZGRpbjpvcGVuIHNlc2FtZQ"
TASK = {"dataset": "org/opinions", "text": ["sentence"], "label_words": ["terrible", "great"]}
SPEC = {"model": "org/private", "task": TASK, "max_steps": 2, "batch_size": 8, "seed": 1}


@dataclass
class LeakDetectingHub(FakeHub):
    """At each request, searches the command lines and environments of all processes for the token."""

    leaks: list[str] = field(default_factory=list)
    files_read: int = 0

    def respond(self, path: str, authorization: str | None = None) -> Response:
        for file in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
            try:
                self.leaks += [str(file)] if TOKEN.encode() in file.read_bytes() else []
                self.files_read += 1
            except OSError:  # ended meanwhile, or of another user
                continue
        return super().respond(path, authorization)


@dataclass
class PrivateService:
    """A service with an object storage, whose user has left a token for that hub."""

    harness: WorkerHarness
    client: TestClient
    hub: LeakDetectingHub
    storage_url: str
    folder: Path
    """The parent of all files."""

    def run(self, path: str, body: dict[str, Any]) -> Job:
        """Post a job and run it; its row afterwards."""
        job_id = self.client.post(path, json=body).json()["id"]
        supervise(self.harness.claim(), self.harness.context)
        return self.harness.job(job_id)

    def user_view(self, job: Job) -> str:
        """What the user sees of it."""
        return self.client.get(f"/v1/jobs/{job.id}/log").text + self.client.get(f"/v1/jobs/{job.id}").text

    def download(self, job: Job, name: str) -> bytes:
        return self.client.get(f"/v1/jobs/{job.id}/artifacts/{name}").raise_for_status().content

    def occurrences_of(self, secret: str) -> list[str]:
        """Where ``secret`` is readable: tables, files, objects."""
        found = ["database"] if secret in everything_stored(self.harness.context.database) else []
        files = {str(file): file.read_bytes() for file in self.folder.rglob("*") if file.is_file()}
        bucket, sizes = open_bucket(self.storage_url), object_store.objects(self.storage_url)
        files |= {name: bucket.get(name, 0, size) for name, size in sizes.items()}
        return found + [name for name, content in files.items() if secret.encode() in unpacked(content)]


def unpacked(content: bytes) -> bytes:
    """``content`` and, of an archive, its files uncompressed."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return content + b"".join(map(archive.read, archive.namelist()))


@pytest.fixture
def service(harness: WorkerHarness, storage_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateService]:
    settings = harness.context.settings.model_copy(update={"storage_url": storage_url})
    harness.context.settings = settings
    model, hub = toy_models.make_model(tmp_path / "toy"), LeakDetectingHub()
    tokenizer = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"model_max_length": 16}))  # nothing to measure
    hub.publish("org/private", model)
    hub.publish("datasets/org/opinions", toy_datasets.make_opinions(tmp_path / "rows", train=16, validation=8))
    hub.tokens = {"org/private": TOKEN, "datasets/org/opinions": TOKEN}
    with serving(hub), local(create_app(settings)) as client:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        assert client.put("/v1/secrets/hub_token", json={"value": TOKEN}).status_code == 200
        yield PrivateService(harness, client, hub, storage_url, tmp_path)


def pruned(database: Database, hub: FakeHub, folder: Path, storage_url: str) -> str:
    """A job of that model that has succeeded; the files of its base are no longer on this host."""
    path = make_mask(folder / "mask", folder / "toy")
    masks, info = mask_file.read(path)
    commit = hub.branches["org/private"]["main"]
    mask_file.write(path, masks, info.model_copy(update={"base_model": "org/private", "base_revision": commit}))
    job = factories.running(database, spec=info.spec.model_copy(update={"model": "org/private"}).model_dump(mode="json"))
    mask = factories.store_file(database, job, path, path.read_bytes(), storage_url=storage_url)
    with database.write() as session:
        claims.succeed(session, Fence.from_row(job), result={}, mask_artifact_id=mask)
    return job.id


def test_a_private_model_is_trained_and_exported(service: PrivateService) -> None:
    job = service.run("/v1/jobs", SPEC | {"exports": ["stock"]})
    shown = service.user_view(job)
    assert job.status is Status.SUCCEEDED, shown
    (figures,) = json.loads(service.download(job, "exports.json"))["exports"]
    assert (figures["error"], figures["checked_on"]) == (None, "validation")  # whose rows are private as well
    with service.harness.context.database.read() as session:
        stored = store.list_for_job(session, job.id)
    assert "export-stock.zip" in {artifact.name for artifact in stored}
    assert len(object_store.objects(service.storage_url)) == len(stored)
    assert service.hub.files_read > 0
    assert service.hub.leaks == []
    assert TOKEN not in shown
    assert service.occurrences_of(TOKEN) == []


def test_a_finished_job_is_exported(service: PrivateService, tmp_path: Path) -> None:
    finished = pruned(service.harness.context.database, service.hub, tmp_path, service.storage_url)
    export = service.run(f"/v1/jobs/{finished}/exports", {"formats": ["compact"]})
    shown = service.user_view(export)
    assert export.status is Status.SUCCEEDED, shown
    (tmp_path / "compact.zip").write_bytes(service.download(export, "export-compact.zip"))
    assert load_export(tmp_path / "compact.zip").predict(["a lovely film"])
    assert service.hub.leaks == []
    assert TOKEN not in shown
    assert service.occurrences_of(TOKEN) == []
