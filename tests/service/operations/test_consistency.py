"""Consistency check: what it finds of files, objects and secrets, with bytes in the database and in an object storage."""

import base64
import io
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, update

from service import datasets
from service.access import secrets
from service.artifacts.s3 import open_bucket
from service.db.engine import Database
from service.db.models import Artifact, ArtifactChunk, DatasetChunk, Job
from service.operations.consistency import count_files, find_inconsistencies, find_leftovers
from service.settings import Settings
from tests import object_store
from tests.service import factories


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"secret_key": SecretStr(base64.b64encode(bytes(32)).decode())})


def problems(database: Database, settings: Settings, *, digests: bool = False) -> list[str]:
    return [f"{found.what}: {found.problem}" for found in find_inconsistencies(database, settings, digests=digests)]


def test_bytes_in_the_database(database: Database, settings: Settings, tmp_path: Path) -> None:
    jobs = [factories.succeeded(database, tmp_path, reports=["report.html"]) for _ in range(3)]
    factories.running(database)
    assert count_files(database) == 6
    assert problems(database, settings, digests=True) == []
    with database.write() as session:
        session.execute(delete(ArtifactChunk).where(ArtifactChunk.artifact_id == jobs[0].mask_artifact_id))
        for job, data in ((jobs[1], b"musk"), (jobs[2], b"longer")):
            session.execute(update(ArtifactChunk).values(data=data).where(ArtifactChunk.artifact_id == job.mask_artifact_id))
    missing, longer = problems(database, settings)
    assert (jobs[0].id in missing, "nothing is stored" in missing) == (True, True)
    assert (jobs[2].id in longer, "6 bytes" in longer) == (True, True)
    assert [jobs[1].id in found for found in problems(database, settings, digests=True)] == [False, True, False]


def test_objects(database: Database, settings: Settings, storage_url: str, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"storage_url": storage_url})
    for _ in range(2):
        factories.succeeded(database, tmp_path, storage_url=storage_url)
    bucket = open_bucket(storage_url)
    bucket.put("artifacts/job_x/1/9-abc", [b"of a job that is gone"])
    bucket.put(f"checkpoints/{factories.cancelled(database).id}/10", [b"of a job that has ended"])
    assert problems(database, settings, digests=True) == []
    assert [name.split("/")[0] for name in find_leftovers(database, settings)] == ["artifacts", "checkpoints"]
    first, second = (name for name in object_store.objects(storage_url) if "job_x" not in name and "checkpoints" not in name)
    bucket.delete([first])
    bucket.put(second, [b"musk"])
    assert len(problems(database, settings)) == 1
    assert ["SHA-256" in found for found in problems(database, settings, digests=True)].count(True) == 1


def test_data_sets(database: Database, settings: Settings) -> None:
    content = b"rows"
    splits = {"train": {"rows": 1, "bytes": len(content), "sha256": "0" * 64, "columns": {}}}
    datasets.put(
        database,
        owner="a",
        name=None,
        sha256="1" * 64,
        splits=splits,
        files={"train": io.BytesIO(content)},
        chunk_bytes=3,
        on_stored=lambda *_: None,
    )
    assert problems(database, settings) == []
    assert "SHA-256" in problems(database, settings, digests=True)[0]
    with database.write() as session:
        session.execute(delete(DatasetChunk).where(DatasetChunk.number == 1))
    assert "3 bytes" in problems(database, settings)[0]


def test_secrets_under_another_key(database: Database, settings: Settings) -> None:
    with database.write() as session:
        secrets.put(session, settings, "a", secrets.HUB_TOKEN, "hf_geheim")
    assert problems(database, settings) == []
    other = settings.model_copy(update={"secret_key": SecretStr(base64.b64encode(bytes(31) + b"x").decode())})
    (found,) = problems(database, other)
    assert "ESPALIER_SECRET_KEY" in found
    assert "geheim" not in found


def test_what_is_deleted_meanwhile_is_left_out(database: Database, settings: Settings, tmp_path: Path) -> None:
    for _ in range(2):
        factories.succeeded(database, tmp_path)
    with database.write() as session:
        session.execute(delete(ArtifactChunk))
    found = find_inconsistencies(database, settings, digests=False)
    next(found)
    with database.write() as session:
        session.execute(update(Job).values(mask_artifact_id=None, export_of=Job.id, exports=["csr"]))
        session.execute(delete(Artifact))
    assert list(found) == []
