"""Artifact store: files that jobs made, written by the worker and read by the API, streamed in pieces.

Their bytes are in a backend (``service.artifacts.backends``); rows alone decide what exists.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import BinaryIO, TypeVar

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from service import failpoints
from service.access import quotas
from service.access.quotas import Quota
from service.artifacts.backends import backend_for, create_backend
from service.db.engine import Database
from service.db.models import Artifact
from service.errors import ArtifactMismatchError, ArtifactNotFoundError
from service.jobs.fence import Fence

T = TypeVar("T")
_BATCH_BYTES = 4 * 1024 * 1024  # written per transaction: heartbeats must get SQLite's write lock in time


def put(
    database: Database,
    fence: Fence,
    *,
    name: str,
    media_type: str,
    path: Path,
    size: int,
    sha256: str,
    chunk_bytes: int,
    storage_url: str | None = None,
    quota: Quota = Quota(),  # noqa: B008 - frozen
    check: Callable[[], None] = lambda: None,
) -> int:
    """Store the file at ``path`` as ``name`` and return the artifact's id; readers see it once all of it is stored.

    It then replaces an artifact of this name, of this or an earlier attempt. The file is read once. Its bytes go to the
    object storage at ``storage_url``, or without one to the database in chunks. Opens its own transactions, every one
    fenced.

    ``check`` is called between batches and may raise, which ends the storing. The file must be a regular one and no link,
    because the trainer that announced it may be another user than this process.

    Raises LeaseLostError; ArtifactMismatchError when the file does not have ``size`` bytes with that ``sha256`` (in
    hexadecimal); QuotaExceededError; StorageUnavailableError; OSError.
    """
    with database.write() as session:
        fence.lock(session)
        unfinished = or_(Artifact.name == name, Artifact.attempt < fence.attempt)
        session.execute(delete(Artifact).where(Artifact.job_id == fence.job_id, ~Artifact.complete, unfinished))
        artifact = Artifact(
            job_id=fence.job_id,
            attempt=fence.attempt,
            name=name,
            media_type=media_type,
            size=size,
            sha256=sha256,
            chunk_bytes=chunk_bytes,
        )
        session.add(artifact)
        session.flush()
        quotas.check_artifact(session, quota, artifact)
        backend = create_backend(session, artifact, storage_url)
    failpoints.hit(failpoints.Failpoint.ARTIFACT_REGISTERED)
    try:
        with _open_regular(path) as file:
            batches = _checked(check, _batches(file, name, size, sha256, backend.piece_bytes))
            backend.write(database, batches, fence)
        with database.write() as session:
            fence.lock(session)
            same_name = (Artifact.job_id == fence.job_id, Artifact.name == name, Artifact.complete)
            session.execute(delete(Artifact).where(*same_name))
            session.execute(update(Artifact).where(Artifact.id == artifact.id).values(complete=True))
            failpoints.hit(failpoints.Failpoint.ARTIFACT_WRITTEN)
    except Exception:
        with database.write() as session:
            session.execute(delete(Artifact).where(Artifact.id == artifact.id, ~Artifact.complete))
        raise
    failpoints.hit(failpoints.Failpoint.ARTIFACT_COMMITTED)
    return artifact.id


def get(session: Session, job_id: str, name: str) -> Artifact:
    """A complete artifact. Raises ArtifactNotFoundError."""
    found = session.scalars(
        select(Artifact).where(Artifact.job_id == job_id, Artifact.name == name, Artifact.complete)
    ).one_or_none()
    if found is None:
        raise ArtifactNotFoundError(f"Job {job_id} has no artifact {name}.")
    return found


def list_for_job(session: Session, job_id: str) -> list[Artifact]:
    """The complete artifacts of a job, by name."""
    return list_for_jobs(session, [job_id]).get(job_id, [])


def list_for_jobs(session: Session, job_ids: Sequence[str]) -> dict[str, list[Artifact]]:
    """The complete artifacts of each job that has any, in one query."""
    statement = select(Artifact).where(Artifact.job_id.in_(job_ids), Artifact.complete)
    found: dict[str, list[Artifact]] = {}
    for artifact in session.scalars(statement.order_by(Artifact.name)):
        found.setdefault(artifact.job_id, []).append(artifact)
    return found


def iter_bytes(database: Database, artifact_id: int, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The bytes ``start`` (included) to ``stop`` (excluded; None: the end), a piece of at most a few megabytes at a time.

    Reads only the pieces that hold them, one at a time: a slow reader keeps no connection. Raises ArtifactNotFoundError,
    possibly half-way when it is deleted meanwhile; StorageUnavailableError; ValueError for a range that is not inside.
    """
    with database.read() as session:
        artifact = session.get(Artifact, artifact_id)
        if artifact is None or not artifact.complete:
            raise ArtifactNotFoundError
        backend = backend_for(session, artifact)
    stop = artifact.size if stop is None else stop
    if not 0 <= start <= stop <= artifact.size:
        raise ValueError(f"bytes {start} to {stop} are not inside {artifact.size}")
    return backend.read(database, start, stop)


def _open_regular(path: Path) -> BinaryIO:
    """The file at ``path``, unless that is a link, a pipe or a device. Raises ArtifactMismatchError, OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ArtifactMismatchError(f"File {path.name} is a link.") from error
        raise
    file = open(descriptor, "rb")  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise ArtifactMismatchError(f"File {path.name} is not a regular file.")
    return file


def _checked(check: Callable[[], None], batches: Iterator[T]) -> Iterator[T]:
    for batch in batches:
        check()
        yield batch


def _batches(file: BinaryIO, name: str, size: int, sha256: str, chunk_bytes: int) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered chunks in lists of a few megabytes. Raises ArtifactMismatchError at the end, or as soon as there is too much."""
    digest, read, batch = hashlib.sha256(), 0, list[tuple[int, bytes]]()
    for number in count():
        data = file.read(chunk_bytes)
        digest.update(data)
        read += len(data)
        if read > size or (not data and read < size):
            raise ArtifactMismatchError(f"File {name} has {'more' if read > size else 'less'} than {size} bytes.")
        if data:
            batch.append((number, data))
        if batch and (not data or len(batch) * chunk_bytes >= _BATCH_BYTES):
            yield batch
            batch = []
        if not data:
            break
    if digest.hexdigest() != sha256:
        raise ArtifactMismatchError(f"File {name} has sha-256 {digest.hexdigest()}, not the announced {sha256}.")
