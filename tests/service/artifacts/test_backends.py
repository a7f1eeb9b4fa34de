"""Artifact backends: an artifact is read from the one that holds it, with any setting; a lost object is an error."""

from pathlib import Path

import pytest
from sqlalchemy import select

from service.artifacts import store
from service.artifacts.s3 import open_bucket
from service.db.engine import Database
from service.db.models import StoredObject
from service.errors import ObjectMissingError, StorageUnavailableError
from tests import object_store, services
from tests.service import factories

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_artifacts_stay_where_they_are_when_the_setting_changes(
    database: Database, storage_url: str, object_server: str, tmp_path: Path
) -> None:
    job = factories.running(database)
    places = {"one": None, "two": storage_url, "three": object_store.new_bucket(object_server)}
    for name, place in places.items():
        factories.store_file(database, job, tmp_path / name, name.encode(), name=name, storage_url=place)
    with database.read() as session:
        stored = store.list_for_job(session, job.id)
    assert {found.name: b"".join(store.iter_bytes(database, found.id)) for found in stored} == {
        name: name.encode() for name in places
    }


def test_object_names_hold_job_and_attempt_and_are_unique(database: Database, storage_url: str, tmp_path: Path) -> None:
    job = factories.running(database)
    names = set()
    for _ in range(2):
        factories.store_file(database, job, tmp_path / "file", b"same", storage_url=storage_url)
        with database.read() as session:
            names.add(session.scalars(select(StoredObject.name)).one())
    assert len(names) == 2
    assert all(name.startswith(f"artifacts/{job.id}/1/") for name in names)


def test_a_lost_object_raises(database: Database, storage_url: str, tmp_path: Path) -> None:
    job = factories.running(database)
    artifact_id = factories.store_file(database, job, tmp_path / "file", b"content", storage_url=storage_url)
    open_bucket(storage_url).delete(object_store.objects(storage_url))
    with pytest.raises(ObjectMissingError, match=f"{factories.MASK}.*{job.id}"):
        store.iter_bytes(database, artifact_id)


def test_an_unavailable_storage_leaves_no_row(database: Database, storage_url: str, tmp_path: Path) -> None:
    job = factories.running(database)
    away = f"s3://b?endpoint=http://127.0.0.1:{services.free_port()}"
    with pytest.raises(StorageUnavailableError):
        factories.store_file(database, job, tmp_path / "file", b"content", storage_url=away)
    with database.read() as session:
        assert session.scalars(select(StoredObject)).all() == []
        assert store.list_for_job(session, job.id) == []
