"""What lies in the object storage for nobody: removed here, and nowhere else. Called by ``worker.maintenance.garbage_collector``.

An object is orphaned when its row is gone (job deleted, artifact replaced, worker lost between upload and commit). The store
is looked at first and the database after: a row is there before its object is, so what has none by then will never have one.
Only the place that is set now is looked at: a database copied to elsewhere also names the places of the one it came from.
"""

from collections.abc import Callable, Iterable

from sqlalchemy import select

from service.artifacts.backends import ARTIFACTS
from service.artifacts.s3 import Bucket, open_bucket
from service.db.engine import Database
from service.db.models import Job, StoredObject
from service.ids import is_job_id
from service.states import TERMINAL

CHECKPOINTS = "checkpoints/"
"""Folder of the checkpoints, one folder per job in it. See ``worker.files.checkpoint_store``."""
_NAMES_PER_QUERY = 500


def collect_garbage(database: Database, storage_url: str, should_stop: Callable[[], bool]) -> int:
    """Remove what nobody needs at this address; how many objects and uploads. Raises StorageUnavailableError.

    ``should_stop`` is asked now and then, and ends it when true.
    """
    bucket = open_bucket(storage_url)
    removed = 0
    for page in bucket.list_pages(ARTIFACTS):
        if should_stop():
            return removed
        orphans = set(page) - _named(database, page)
        bucket.delete(sorted(orphans))
        removed += len(orphans)
    removed += _abort(bucket, ARTIFACTS, lambda names: _named(database, names))
    ended = {job_id for job_id in bucket.list_folders(CHECKPOINTS) if is_job_id(job_id)}
    ended -= _open(database, ended)
    for job_id in sorted(ended):
        if should_stop():
            return removed
        removed += delete_checkpoints(bucket, job_id)
    return removed + _abort(bucket, CHECKPOINTS, lambda names: _of_open_jobs(database, names))


def delete_checkpoints(bucket: Bucket, job_id: str) -> int:
    """Remove all checkpoints of a job that has ended; how many. Raises StorageUnavailableError."""
    names = [name for page in bucket.list_pages(f"{CHECKPOINTS}{job_id}/") for name in page]
    bucket.delete(names)
    return len(names)


def _abort(bucket: Bucket, folder: str, needed: Callable[[set[str]], set[str]]) -> int:
    """Give up the uploads under ``folder`` that nobody will complete; how many."""
    uploads = bucket.list_uploads(folder)
    kept = needed({name for name, _ in uploads})
    given_up = [(name, upload) for name, upload in uploads if name not in kept]
    for name, upload in given_up:
        bucket.abort_upload(name, upload)
    return len(given_up)


def _named(database: Database, names: Iterable[str]) -> set[str]:
    """Those that a row names, at whatever address: the same store may be known by two."""
    asked, found = sorted(names), set[str]()
    for start in range(0, len(asked), _NAMES_PER_QUERY):
        with database.read() as session:
            some = asked[start : start + _NAMES_PER_QUERY]
            found.update(session.scalars(select(StoredObject.name).where(StoredObject.name.in_(some))))
    return found


def _open(database: Database, job_ids: Iterable[str]) -> set[str]:
    """Those that have not ended."""
    asked, found = sorted(job_ids), set[str]()
    for start in range(0, len(asked), _NAMES_PER_QUERY):
        with database.read() as session:
            some = asked[start : start + _NAMES_PER_QUERY]
            found.update(session.scalars(select(Job.id).where(Job.id.in_(some), Job.status.not_in(sorted(TERMINAL)))))
    return found


def _of_open_jobs(database: Database, names: Iterable[str]) -> set[str]:
    owners = {name: name.removeprefix(CHECKPOINTS).partition("/")[0] for name in names}
    kept = _open(database, set(owners.values()))
    return {name for name, job_id in owners.items() if job_id in kept}
