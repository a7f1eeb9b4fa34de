"""Garbage collection deletes unneeded objects and no other."""

from pathlib import Path
from typing import Any

from service.artifacts import garbage, store
from service.artifacts.s3 import open_bucket
from service.db.engine import Database
from service.ids import new_job_id
from service.jobs import claims, commands
from service.jobs.fence import Fence
from tests import object_store
from tests.service import factories


def stay() -> bool:
    return False


def begin_upload(storage_url: str, name: str) -> None:
    """What a worker killed in the middle of a large file leaves."""
    bucket = open_bucket(storage_url)
    where: dict[str, Any] = {"Bucket": bucket.url.bucket, "Key": bucket.url.key(name)}
    client = object_store.client(storage_url)
    upload = client.create_multipart_upload(**where)["UploadId"]
    client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"half")


def test_objects_without_a_row_are_deleted(database: Database, storage_url: str, tmp_path: Path) -> None:
    kept, deleted = factories.succeeded(database, tmp_path, storage_url=storage_url), factories.running(database)
    for content in (b"first", b"second"):  # the second replaces the first
        factories.store_file(database, deleted, tmp_path / "file", content, storage_url=storage_url)
    with database.write() as session:
        claims.cancel(session, Fence(deleted.id, 1))
    assert len(object_store.objects(storage_url)) == 3
    assert garbage.collect_garbage(database, storage_url, stay) == 1
    with database.write() as session:
        commands.delete(session, deleted.id)
    begin_upload(storage_url, "artifacts/job_x/1/9-abc")
    assert garbage.collect_garbage(database, storage_url, lambda: True) == 0  # leaving
    assert garbage.collect_garbage(database, storage_url, stay) == 2
    assert garbage.collect_garbage(database, storage_url, stay) == 0
    assert len(object_store.objects(storage_url)) == 1
    assert open_bucket(storage_url).list_uploads("") == []
    with database.read() as session:
        mask = store.get(session, kept.id, factories.MASK)
    assert b"".join(store.iter_bytes(database, mask.id)) == b"mask"


def test_the_same_storage_under_another_url_loses_nothing(database: Database, storage_url: str, tmp_path: Path) -> None:
    job = factories.running(database)
    factories.store_file(database, job, tmp_path / "file", b"content", storage_url=storage_url)
    other = f"{storage_url}&region=eu-west-1"
    assert garbage.collect_garbage(database, other, stay) == 0
    assert len(object_store.objects(storage_url)) == 1


def test_checkpoints_are_kept_until_their_job_ends(database: Database, storage_url: str, tmp_path: Path) -> None:
    ended, waiting, deleted = factories.cancelled(database).id, factories.queued(database), new_job_id()
    bucket = open_bucket(storage_url)
    for job_id in (ended, waiting, deleted, "not-a-job"):
        bucket.put(f"checkpoints/{job_id}/step-1", [b"state"])
        begin_upload(storage_url, f"checkpoints/{job_id}/step-2")
    assert garbage.collect_garbage(database, storage_url, stay) == 2 + 3
    assert set(object_store.objects(storage_url)) == {f"checkpoints/{waiting}/step-1", "checkpoints/not-a-job/step-1"}
    assert [name for name, _ in bucket.list_uploads("")] == [f"checkpoints/{waiting}/step-2"]
