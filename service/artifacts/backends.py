"""The two backends that hold the bytes of artifacts: chunks in the database, or objects in an object storage.

Called by ``service.artifacts.store``, which decides when an artifact may be written and when it is complete.
"""

import secrets
from collections.abc import Iterator
from typing import Protocol

from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session

from service import failpoints
from service.artifacts.s3 import PART_BYTES, READ_BYTES, open_bucket
from service.db.engine import Database
from service.db.models import Artifact, ArtifactChunk, StoredObject
from service.errors import ArtifactNotFoundError, ObjectMissingError
from service.jobs.fence import Fence

Batches = Iterator[list[tuple[int, bytes]]]
"""Numbered pieces of ``piece_bytes`` each, the last one shorter, a few megabytes at a time; read as they are needed."""
_YIELDED_BYTES = 256 * 1024
ARTIFACTS = "artifacts/"
"""Folder of the objects."""


class ArtifactBackend(Protocol):
    """Holds the bytes of one artifact."""

    piece_bytes: int

    def write(self, database: Database, batches: Batches, fence: Fence) -> None:
        """Store all pieces. Raises what ``batches`` raises, LeaseLostError, StorageUnavailableError."""

    def read(self, database: Database, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of a range, piece by piece. Raises ArtifactNotFoundError, StorageUnavailableError."""


class DatabaseBackend:
    """Chunks in rows of the database; the default."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact, self.piece_bytes = artifact, artifact.chunk_bytes

    def write(self, database: Database, batches: Batches, fence: Fence) -> None:
        """A transaction per batch."""
        for batch in batches:
            with database.write() as session:
                fence.lock(session)
                rows = [{"artifact_id": self.artifact.id, "number": number, "data": data} for number, data in batch]
                session.execute(insert(ArtifactChunk), rows)
            failpoints.hit(failpoints.Failpoint.ARTIFACT_CHUNK)

    def read(self, database: Database, start: int, stop: int) -> Iterator[bytes]:
        """Reads only the chunks that hold them, each in a transaction of its own."""
        length = self.piece_bytes
        for number in range(start // length, -(-stop // length) if stop > start else 0):
            with database.read() as session:
                data = session.scalars(
                    select(ArtifactChunk.data).where(ArtifactChunk.artifact_id == self.artifact.id, ArtifactChunk.number == number)
                ).one_or_none()
            if data is None:
                raise _deleted(self.artifact)
            offset = number * length
            first, last = max(start - offset, 0), min(len(data), stop - offset)
            for at in range(first, last, _YIELDED_BYTES):
                yield bytes(data[at : min(last, at + _YIELDED_BYTES)])
            del data  # while a slow reader holds the last piece, this frame must not hold a whole chunk as well


class ObjectBackend:
    """One object of an S3-compatible storage."""

    piece_bytes = PART_BYTES

    def __init__(self, artifact: Artifact, stored: StoredObject) -> None:
        self.artifact, self.stored = artifact, stored

    def write(self, database: Database, batches: Batches, fence: Fence) -> None:
        """A part per piece; no object exists before the last one is stored."""

        def parts() -> Iterator[bytes]:
            for batch in batches:
                for _, data in batch:
                    yield data
                    with database.write() as session:  # the part is stored; the fence is checked before the next
                        fence.lock(session)
                    failpoints.hit(failpoints.Failpoint.ARTIFACT_CHUNK)

        open_bucket(self.stored.storage).put(self.stored.name, parts())

    def read(self, database: Database, start: int, stop: int) -> Iterator[bytes]:
        """Reads ranges of a few megabytes. A missing object is noticed at once, not with the first piece."""
        bucket = open_bucket(self.stored.storage)
        try:
            bucket.head(self.stored.name)
        except ObjectMissingError as error:
            self._check_not_deleted(database)
            raise ObjectMissingError(
                f"The object storage no longer has {self.artifact.name} of job {self.artifact.job_id}."
            ) from error

        def pieces() -> Iterator[bytes]:
            for offset in range(start, stop, READ_BYTES):
                self._check_not_deleted(database)
                yield bucket.get(self.stored.name, offset, min(offset + READ_BYTES, stop))

        return pieces()

    def _check_not_deleted(self, database: Database) -> None:
        """Refuse to read: the object outlives the artifact's row for a while."""
        with database.read() as session:
            if not session.scalar(select(exists().where(Artifact.id == self.artifact.id))):
                raise _deleted(self.artifact)


def create_backend(session: Session, artifact: Artifact, storage_url: str | None) -> ArtifactBackend:
    """The backend for a new artifact, which is a row of this transaction."""
    if storage_url is None:
        return DatabaseBackend(artifact)
    # the id alone would be reused in a database that was restored from a copy
    name = f"{ARTIFACTS}{artifact.job_id}/{artifact.attempt}/{artifact.id}-{secrets.token_hex(8)}"
    stored = StoredObject(artifact_id=artifact.id, storage=storage_url, name=name)
    session.add(stored)
    session.flush()
    return ObjectBackend(artifact, stored)


def backend_for(session: Session, artifact: Artifact) -> ArtifactBackend:
    """The backend that holds a stored artifact, independent of the current setting."""
    stored = session.get(StoredObject, artifact.id)
    return DatabaseBackend(artifact) if stored is None else ObjectBackend(artifact, stored)


def _deleted(artifact: Artifact) -> ArtifactNotFoundError:
    return ArtifactNotFoundError(f"Artifact {artifact.name} of job {artifact.job_id} was deleted while it was read.")
