"""Consistency check: rows whose bytes are missing or differ, objects that no row needs, secrets that the key does not open.

What a restored copy is asked before processes are started on it; called by ``espalier db check``. It reads in short transactions,
so the service may run meanwhile; what is deleted while it is read is left out.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, func, select

from service import datasets, uploaded_models
from service.access import secrets
from service.artifacts import garbage, store
from service.artifacts.s3 import open_bucket
from service.db.engine import Database
from service.db.models import (
    Artifact,
    ArtifactChunk,
    Dataset,
    DatasetChunk,
    ModelChunk,
    ModelFile,
    Secret,
    StoredObject,
    UploadedModel,
    Webhook,
)
from service.errors import NotFoundError, ObjectMissingError, SecretsUnavailableError
from service.settings import Settings
from service.webhooks import subscriptions

_ROWS = 200
"""Read per query."""


@dataclass(frozen=True)
class Inconsistency:
    """Something that the database names and that is not there as it should be."""

    what: str
    problem: str


@dataclass(frozen=True)
class _StoredFile:
    """A file that a row says is stored."""

    what: str
    size: int
    sha256: str
    stored_bytes: int | None
    """None: nothing is stored."""
    read: Callable[[], Iterator[bytes]]
    row: tuple[type[Any], Any]
    """Class and primary key of the row that is deleted once the file may be."""


def find_inconsistencies(database: Database, settings: Settings, *, digests: bool) -> Iterator[Inconsistency]:
    """Compare every stored file with its row: by its size, with ``digests`` by its SHA-256, for which all bytes are read.

    Raises StorageUnavailableError.
    """
    for files in (_artifacts, _datasets, _models):
        for file in files(database):
            problem = _problem(file, digests=digests)
            if problem is not None and _still_there(database, file):
                yield Inconsistency(file.what, problem)
    yield from _sealed(database, settings)


def count_files(database: Database) -> int:
    """How many files :func:`find_inconsistencies` compares."""
    with database.read() as session:
        artifacts = session.scalar(select(func.count()).where(Artifact.complete)) or 0
        models = session.scalar(select(func.count()).select_from(ModelFile).join(UploadedModel).where(UploadedModel.complete)) or 0
        splits = sum(len(row) for row in session.scalars(select(Dataset.splits).where(Dataset.complete)))
    return artifacts + models + splits


def find_leftovers(database: Database, settings: Settings) -> Iterator[str]:
    """Names of the objects in the storage set now that no row needs, which workers are about to delete.

    Raises StorageUnavailableError.
    """
    if settings.storage_url is not None:
        yield from garbage.unneeded_objects(database, settings.storage_url)


def _problem(file: _StoredFile, *, digests: bool) -> str | None:
    if file.stored_bytes is None:
        return "nothing is stored"
    if file.stored_bytes != file.size:
        return f"{file.stored_bytes} bytes are stored in place of {file.size}"
    if not digests:
        return None
    digest = hashlib.sha256()
    try:
        for piece in file.read():
            digest.update(piece)
    except NotFoundError:
        return "it cannot be read to its end"
    if digest.hexdigest() != file.sha256:
        return f"its SHA-256 is {digest.hexdigest()} in place of {file.sha256}"
    return None


def _still_there(database: Database, file: _StoredFile) -> bool:
    kind, key = file.row
    with database.read() as session:
        row = session.get(kind, key)
        return row is not None and getattr(row, "complete", True)


def _artifacts(database: Database) -> Iterator[_StoredFile]:
    size = func.sum(func.length(ArtifactChunk.data)).label("size")
    for rows in _batches(database, Artifact, Artifact.id):
        ids = [row.id for row in rows]
        with database.read() as session:
            objects = {
                row.artifact_id: row for row in session.scalars(select(StoredObject).where(StoredObject.artifact_id.in_(ids)))
            }
            grouped = select(ArtifactChunk.artifact_id, size).where(ArtifactChunk.artifact_id.in_(ids))
            chunks = {row.artifact_id: row.size for row in session.execute(grouped.group_by(ArtifactChunk.artifact_id))}
        for row in rows:
            found = objects.get(row.id)
            if found is None:
                place, stored = "in the database", _stored_in_rows(chunks.get(row.id), row.size)
            else:
                place, stored = f"{found.name} in {found.storage}", _object_bytes(found.storage, found.name)
            yield _StoredFile(
                what=f"artifact {row.name} of {row.job_id} ({place})",
                size=row.size,
                sha256=row.sha256,
                stored_bytes=stored,
                read=partial(store.iter_bytes, database, row.id),
                row=(Artifact, row.id),
            )


def _datasets(database: Database) -> Iterator[_StoredFile]:
    for rows in _batches(database, Dataset, Dataset.number):
        for row in rows:
            for split, about in row.splits.items():
                of_split = (DatasetChunk.dataset == row.number, DatasetChunk.split == split)
                yield _StoredFile(
                    what=f"split {split} of data set {row.id} (in the database)",
                    size=about["bytes"],
                    sha256=about["sha256"],
                    stored_bytes=_stored_in_rows(_chunk_bytes(database, DatasetChunk.data, *of_split), about["bytes"]),
                    read=partial(datasets.iter_split, database, row.number, split),
                    row=(Dataset, row.number),
                )


def _models(database: Database) -> Iterator[_StoredFile]:
    for rows in _batches(database, UploadedModel, UploadedModel.number):
        for model in rows:
            with database.read() as session:
                files = uploaded_models.files_of(session, model.number)
            for file in files:
                of_file = (ModelChunk.model == file.model, ModelChunk.file == file.name)
                if file.storage is not None and file.object_name is not None:
                    place, stored = f"{file.object_name} in {file.storage}", _object_bytes(file.storage, file.object_name)
                else:
                    place = "in the database"
                    stored = _stored_in_rows(_chunk_bytes(database, ModelChunk.data, *of_file), file.size)
                yield _StoredFile(
                    what=f"file {file.name} of model {model.id} ({place})",
                    size=file.size,
                    sha256=file.sha256,
                    stored_bytes=stored,
                    read=partial(uploaded_models.iter_file, database, file),
                    row=(UploadedModel, model.number),
                )


def _batches(database: Database, kind: type[Any], key: Any) -> Iterator[list[Any]]:
    """The complete rows of a table in the order of ``key``, which counts upward."""
    last = -1
    while True:
        with database.read() as session:
            rows = list(session.scalars(select(kind).where(kind.complete, key > last).order_by(key).limit(_ROWS)))
        if not rows:
            return
        yield rows
        last = getattr(rows[-1], key.key)


def _chunk_bytes(database: Database, data: Any, *of_file: ColumnElement[bool]) -> int | None:
    with database.read() as session:
        found: int | None = session.scalar(select(func.sum(func.length(data))).where(*of_file))
    return found


def _stored_in_rows(found: int | None, size: int) -> int | None:
    """An empty file has no chunk."""
    return 0 if found is None and size == 0 else found


def _object_bytes(storage: str, name: str) -> int | None:
    try:
        return open_bucket(storage).head(name)[0]
    except ObjectMissingError:
        return None


def _sealed(database: Database, settings: Settings) -> Iterator[Inconsistency]:
    """Secrets that cannot be opened: the key is no part of a backup of the database."""
    found = []
    with database.read() as session:
        for stored in session.scalars(select(Secret).order_by(Secret.owner, Secret.name)):
            try:
                secrets.unseal(settings, stored.owner, stored.name, stored.sealed)
            except SecretsUnavailableError as error:
                found.append(Inconsistency(f"secret {stored.name} of {stored.owner}", str(error)))
        for webhook in session.scalars(select(Webhook).order_by(Webhook.id)):
            try:
                subscriptions.signing_secrets(session, settings, webhook)
            except SecretsUnavailableError as error:
                found.append(Inconsistency(f"signing secret of webhook {webhook.id}", str(error)))
    yield from found
