"""Garbage collection in the object storage: deletes objects and uploads that no row needs.

Called by ``worker.maintenance.garbage_collector``; nothing else deletes there, except for a job's checkpoints at its end. An object
is garbage when its row is deleted (job deleted, artifact replaced, worker lost between upload and commit). The storage is listed
first and the database queried after: a row exists before its object does, so an object without one will never have one. Only the
storage that is set now is collected: a copied database also names the storage of the original.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import select

from service.artifacts.backends import ARTIFACTS
from service.artifacts.s3 import Bucket, open_bucket
from service.db.engine import Database
from service.db.models import Job, ModelFile, StoredObject
from service.ids import is_job_id
from service.states import TERMINAL

MODELS = "models/"
"""Folder of the files of uploaded models."""
CHECKPOINTS = "checkpoints/"
"""Folder of the checkpoints, with one folder per job. See ``worker.files.checkpoint_store``."""
_NAMES_PER_QUERY = 500


def collect_garbage(database: Database, storage_url: str, should_stop: Callable[[], bool]) -> int:
    """Delete garbage at this URL; how many objects and uploads. Raises StorageUnavailableError.

    ``should_stop`` is called between pages and jobs, and ends the collection when true.
    """
    bucket = open_bucket(storage_url)
    removed = 0
    for names in _orphans(database, bucket):
        if should_stop():
            return removed
        bucket.delete(names)
        removed += len(names)
    removed += _abort_uploads(bucket, ARTIFACTS, lambda names: _with_row(database, names))
    removed += _abort_uploads(bucket, MODELS, lambda names: _with_row(database, names, ModelFile.object_name))
    for job_id in _ended_with_checkpoints(database, bucket):
        if should_stop():
            return removed
        removed += delete_checkpoints(bucket, job_id)
    return removed + _abort_uploads(bucket, CHECKPOINTS, lambda names: _of_unfinished_jobs(database, names))


def unneeded_objects(database: Database, storage_url: str) -> Iterator[str]:
    """Names of the objects that :func:`collect_garbage` would delete. Raises StorageUnavailableError."""
    bucket = open_bucket(storage_url)
    for names in _orphans(database, bucket):
        yield from names
    for job_id in _ended_with_checkpoints(database, bucket):
        for page in bucket.list_pages(f"{CHECKPOINTS}{job_id}/"):
            yield from page


def _orphans(database: Database, bucket: Bucket) -> Iterator[list[str]]:
    """A page at a time, the objects of artifacts and of uploaded models that no row names."""
    for folder, column in ((ARTIFACTS, StoredObject.name), (MODELS, ModelFile.object_name)):
        for page in bucket.list_pages(folder):
            yield sorted(set(page) - _with_row(database, page, column))


def _ended_with_checkpoints(database: Database, bucket: Bucket) -> list[str]:
    """Jobs that have checkpoints in the storage and no use for them."""
    found = {job_id for job_id in bucket.list_folders(CHECKPOINTS) if is_job_id(job_id)}
    return sorted(found - _unfinished(database, found))


def delete_checkpoints(bucket: Bucket, job_id: str) -> int:
    """Delete all checkpoints of a job that has ended; how many. Raises StorageUnavailableError."""
    names = [name for page in bucket.list_pages(f"{CHECKPOINTS}{job_id}/") for name in page]
    bucket.delete(names)
    return len(names)


def _abort_uploads(bucket: Bucket, folder: str, needed: Callable[[set[str]], set[str]]) -> int:
    """Abort the uploads under ``folder`` that will never be completed; how many."""
    uploads = bucket.list_uploads(folder)
    kept = needed({name for name, _ in uploads})
    abandoned = [(name, upload) for name, upload in uploads if name not in kept]
    for name, upload in abandoned:
        bucket.abort_upload(name, upload)
    return len(abandoned)


def _with_row(database: Database, names: Iterable[str], column: Any = StoredObject.name) -> set[str]:
    """Objects that a row names, under any URL: the same storage may have several."""
    asked, found = sorted(names), set[str]()
    for start in range(0, len(asked), _NAMES_PER_QUERY):
        with database.read() as session:
            some = asked[start : start + _NAMES_PER_QUERY]
            found.update(session.scalars(select(column).where(column.in_(some))))
    return found


def _unfinished(database: Database, job_ids: Iterable[str]) -> set[str]:
    """Jobs of ``job_ids`` that have not ended."""
    asked, found = sorted(job_ids), set[str]()
    for start in range(0, len(asked), _NAMES_PER_QUERY):
        with database.read() as session:
            some = asked[start : start + _NAMES_PER_QUERY]
            found.update(session.scalars(select(Job.id).where(Job.id.in_(some), Job.status.not_in(sorted(TERMINAL)))))
    return found


def _of_unfinished_jobs(database: Database, names: Iterable[str]) -> set[str]:
    owners = {name: name.removeprefix(CHECKPOINTS).partition("/")[0] for name in names}
    kept = _unfinished(database, set(owners.values()))
    return {name for name, job_id in owners.items() if job_id in kept}
