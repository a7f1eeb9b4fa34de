"""Uploaded models: folders of safetensors models of users, written and read by the API, downloaded by the worker.

Their files lie in the object storage where one is set, else in the database in chunks. The code shared with uploaded data sets is
in ``service.uploads``.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.access.quotas import Quota
from service.artifacts.garbage import MODELS
from service.artifacts.s3 import PART_BYTES, READ_BYTES, open_bucket
from service.db.engine import Database
from service.db.models import Job, ModelChunk, ModelFile, UploadedModel
from service.errors import ModelInUseError, UploadedModelNotFoundError
from service.ids import is_model_id
from service.states import Status
from service.uploads import UploadTable, chunks_per_transaction, write_chunks

_ABANDONED_SECONDS = 24 * 3600.0
"""Longer than any upload is stored."""
_table = UploadTable(
    UploadedModel,
    kind="model",
    prefix="mdl_",
    is_id=is_model_id,
    missing=UploadedModelNotFoundError,
    in_use=ModelInUseError,
    named_by_job=[Job.spec["model"].as_string(), Job.spec["teacher"].as_string()],
)
model_id_for, get, page, lock_for_reader = _table.id_for, _table.get, _table.page, _table.lock_for_reader

OnStored = Callable[[Session, UploadedModel, bool], None]
"""Called inside the last transaction with the model and whether it is new."""


@dataclass(frozen=True)
class FileContent:
    """A file to be stored."""

    file: IO[bytes]
    """At any position."""
    size: int
    sha256: str


@dataclass(frozen=True)
class ModelContent:
    """A model that was checked."""

    files: Mapping[str, FileContent]
    model_type: str
    masked_weights: int | None

    @property
    def sha256(self) -> str:
        """Digest of the names and digests of the files."""
        lines = "".join(f"{name} {file.sha256}\n" for name, file in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files.values())


def put(
    database: Database,
    *,
    owner: str,
    name: str | None,
    content: ModelContent,
    chunk_bytes: int,
    on_stored: OnStored,
    storage_url: str | None = None,
    quota: Quota | None = None,
) -> None:
    """Store a model. Like :meth:`service.uploads.UploadTable.put`, with the same exceptions and StorageUnavailableError."""
    model_id = model_id_for(owner, content.sha256)
    row = UploadedModel(
        id=model_id,
        owner=owner,
        name=name,
        sha256=content.sha256,
        model_type=content.model_type,
        masked_weights=content.masked_weights,
        size=content.size,
    )

    def add_files(session: Session, added: UploadedModel) -> None:
        for file_name, file in content.files.items():
            stored = f"{MODELS}{model_id}/{added.number}-{secrets.token_hex(8)}" if storage_url else None
            session.add(
                ModelFile(
                    model=added.number,
                    name=file_name,
                    size=file.size,
                    sha256=file.sha256,
                    chunk_bytes=chunk_bytes,
                    storage=storage_url,
                    object_name=stored,
                )
            )

    _table.put(
        database,
        row,
        write=lambda number: _write_files(database, number, content),
        discard=lambda number: purge(database, number),
        on_stored=on_stored,
        quota=quota,
        on_added=add_files,
    )


def files_of(session: Session, number: int) -> list[ModelFile]:
    """The files of a model, by name."""
    return list(session.scalars(select(ModelFile).where(ModelFile.model == number).order_by(ModelFile.name)))


def hide(session: Session, model_id: str, *, owner: str | None = None) -> int:
    """Hide a model from all readers; returns its number, for the call of :func:`purge` after this transaction.

    Raises UploadedModelNotFoundError; ModelInUseError while a job that has not ended reads it.
    """
    row = _table.lock_unused(session, model_id, owner=owner)
    row.complete = False
    return row.number


def purge(database: Database, number: int, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Delete what is stored of a hidden or an unfinished model, a few megabytes per transaction, because gigabytes would block
    other writers."""
    with database.read() as session:
        sizes = {file.name: file.chunk_bytes for file in files_of(session, number)}
    for name, chunk_bytes in sizes.items():
        of_file = (ModelChunk.model == number, ModelChunk.file == name)
        count = chunks_per_transaction(chunk_bytes)
        deleted = count
        while deleted == count and not should_stop():
            with database.write() as session:
                some = session.scalars(select(ModelChunk.number).where(*of_file).limit(count)).all()
                session.execute(sql_delete(ModelChunk).where(*of_file, ModelChunk.number.in_(some)))
            deleted = len(some)
    if not should_stop():
        with database.write() as session:
            session.execute(sql_delete(UploadedModel).where(UploadedModel.number == number, ~UploadedModel.complete))


def iter_file(database: Database, file: ModelFile, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """The bytes ``start`` (included) to ``stop`` (excluded; None: the end) of a file, a piece at a time.

    Each is read in a transaction of its own. Raises UploadedModelNotFoundError, half-way too when the model is deleted meanwhile;
    StorageUnavailableError.
    """
    stop = file.size if stop is None else stop
    length = READ_BYTES if file.storage is not None else file.chunk_bytes
    for number in range(start // length, -(-stop // length) if stop > start else 0):
        first, last = max(start, number * length), min(stop, (number + 1) * length)
        if file.storage is not None and file.object_name is not None:
            _require_file(database, file)
            yield open_bucket(file.storage).get(file.object_name, first, last)
        else:
            yield _chunk(database, file, number)[first - number * length : last - number * length]


def models_named_in(spec: Mapping[str, Any]) -> set[str]:
    """The ids of the uploaded models that a spec names, its teacher among them."""
    names = (spec.get("model"), spec.get("teacher"))
    return {name for name in names if isinstance(name, str) and is_model_id(name)}


def lock_named(session: Session, spec: Mapping[str, Any], *, owner: str) -> None:
    """:func:`lock_for_reader` for each uploaded model that a spec names. Raises UploadedModelNotFoundError."""
    for model_id in sorted(models_named_in(spec)):
        lock_for_reader(session, model_id, owner=owner)


def ids_of_running(session: Session) -> set[str]:
    """The ids of the models that running jobs read."""
    return _table.ids_named(session, Job.status == Status.RUNNING)


def purge_abandoned(database: Database, should_stop: Callable[[], bool]) -> None:
    """Finish uploads and deletions whose process ended half-way, by deleting them. Called by the worker's maintenance thread."""
    with database.read() as session:
        numbers = session.scalars(select(UploadedModel.number).where(*_table.abandoned(_ABANDONED_SECONDS))).all()
    for number in numbers:
        purge(database, number, should_stop)


def _write_files(database: Database, number: int, content: ModelContent) -> None:
    with database.read() as session:
        rows = files_of(session, number)
    for row in rows:
        source = content.files[row.name].file
        if row.storage is not None and row.object_name is not None:
            source.seek(0)
            open_bucket(row.storage).put(row.object_name, iter(partial(source.read, PART_BYTES), b""))
        else:
            write_chunks(database, ModelChunk, {"model": number, "file": row.name}, source, row.chunk_bytes)


def _chunk(database: Database, file: ModelFile, number: int) -> bytes:
    where = (ModelChunk.model == file.model, ModelChunk.file == file.name, ModelChunk.number == number)
    with database.read() as session:
        data = session.scalars(select(ModelChunk.data).where(*where)).one_or_none()
    if data is None:
        raise UploadedModelNotFoundError(f"number {file.model}")
    return bytes(data)


def _require_file(database: Database, file: ModelFile) -> None:
    """Refuse to read: the object outlives its row for a while."""
    with database.read() as session:
        if session.get(ModelFile, (file.model, file.name)) is None:
            raise UploadedModelNotFoundError(f"number {file.model}")
