"""Uploaded models: folders of safetensors models that users bring, written and read by the API, downloaded by the worker.

A model is identified by owner and content, so it never changes, and the same files twice are one. Its files lie in the object
storage where one is set, else in the database in chunks. ``owner`` is the owner whose models the caller may see, as in
``service.jobs.commands``.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.access import quotas
from service.access.quotas import Quota
from service.artifacts.garbage import MODELS
from service.artifacts.s3 import PART_BYTES, READ_BYTES, open_bucket
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job, ModelChunk, ModelFile, UploadedModel
from service.errors import ModelInUseError, UploadedModelNotFoundError
from service.ids import is_model_id
from service.states import TERMINAL, Status

_BATCH_BYTES = 4 * 1024 * 1024  # written per transaction: heartbeats must get SQLite's write lock in time
_ABANDONED_SECONDS = 24 * 3600.0
"""Longer than any upload is stored."""

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
        """Of names and digests."""
        lines = "".join(f"{name} {file.sha256}\n" for name, file in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files.values())


def model_id_for(owner: str, sha256: str) -> str:
    """The id of this content of this owner: ``mdl_`` and 32 hexadecimal digits."""
    return "mdl_" + hashlib.sha256(f"{owner}\n{sha256}".encode()).hexdigest()[:32]


def put(
    database: Database, *, owner: str, name: str | None, content: ModelContent, chunk_bytes: int, on_stored: OnStored,
    storage_url: str | None = None, quota: Quota | None = None,
) -> None:  # fmt: skip
    """Store a model, unless this owner has the same content already; readers see all of it or nothing.

    Opens its own transactions. Raises QuotaExceededError, StorageUnavailableError, and whatever ``on_stored`` does, with nothing
    stored then.
    """
    model_id = model_id_for(owner, content.sha256)
    with database.write() as session:
        if (existing := _find(session, model_id, owner)) is not None:
            on_stored(session, existing, False)
            return
        quotas.check_model(session, quota or Quota(), owner, content.size)
        row = UploadedModel(
            id=model_id, owner=owner, name=name, sha256=content.sha256, model_type=content.model_type,
            masked_weights=content.masked_weights, size=content.size,
        )  # fmt: skip
        session.add(row)
        session.flush()
        for file_name, file in content.files.items():
            stored = f"{MODELS}{model_id}/{row.number}-{secrets.token_hex(8)}" if storage_url else None
            session.add(
                ModelFile(
                    model=row.number, name=file_name, size=file.size, sha256=file.sha256, chunk_bytes=chunk_bytes,
                    storage=storage_url, object_name=stored,
                )
            )  # fmt: skip
    try:
        _write_files(database, row.number, content)
        with database.write() as session:
            concurrent = select(UploadedModel.number).where(UploadedModel.id == model_id, UploadedModel.complete)
            if session.scalars(concurrent).first() is None:
                session.execute(update(UploadedModel).where(UploadedModel.number == row.number).values(complete=True))
                on_stored(session, row, True)
                return
    except IntegrityError:  # a concurrent upload of the same content was completed at the same moment
        purge(database, row.number)
    except BaseException:
        purge(database, row.number)
        raise
    purge(database, row.number)
    with database.write() as session:
        on_stored(session, get(session, model_id, owner=owner), False)


def get(session: Session, model_id: str, *, owner: str | None = None) -> UploadedModel:
    """A complete model. Raises UploadedModelNotFoundError."""
    found = _find(session, model_id, owner)
    if found is None:
        raise UploadedModelNotFoundError(model_id)
    return found


def files_of(session: Session, number: int) -> list[ModelFile]:
    """The files of a model, by name."""
    return list(session.scalars(select(ModelFile).where(ModelFile.model == number).order_by(ModelFile.name)))


def page(
    session: Session, *, limit: int, owner: str | None = None, after: int | None = None
) -> tuple[Sequence[UploadedModel], int | None]:
    """Newest first: at most ``limit`` models below number ``after``, and the ``after`` of the next page, None on the last."""
    statement = select(UploadedModel).where(UploadedModel.complete, *_owned_by(owner))
    if after is not None:
        statement = statement.where(UploadedModel.number < after)
    rows = session.scalars(statement.order_by(UploadedModel.number.desc()).limit(limit + 1)).all()
    return rows[:limit], rows[limit - 1].number if len(rows) > limit else None


def lock_for_reader(session: Session, model_id: str, *, owner: str) -> UploadedModel:
    """Protect a model from deletion until this transaction, which adds a job that reads it, has ended.

    Raises UploadedModelNotFoundError.
    """
    statement = select(UploadedModel).where(UploadedModel.id == model_id, UploadedModel.complete, *_owned_by(owner))
    found = session.scalars(statement.with_for_update(read=True, key_share=True)).one_or_none()
    if found is None:
        raise UploadedModelNotFoundError(model_id)
    return found


def hide(session: Session, model_id: str, *, owner: str | None = None) -> int:
    """Let nobody see a model any more; its number, for :func:`purge` to be called with after this transaction.

    Raises UploadedModelNotFoundError; ModelInUseError while a job that has not ended reads it.
    """
    statement = select(UploadedModel).where(UploadedModel.id == model_id, UploadedModel.complete, *_owned_by(owner))
    row = session.scalars(statement.with_for_update()).one_or_none()
    if row is None:
        raise UploadedModelNotFoundError(model_id)
    model, teacher = _models_of_job()
    reads = (or_(model == model_id, teacher == model_id), Job.status.not_in(sorted(TERMINAL)))
    readers = session.scalars(select(Job.id).where(*reads).limit(3)).all()
    if readers:
        raise ModelInUseError(f"Model {model_id} is read by {', '.join(readers)}; wait for its end or cancel it.")
    row.complete = False
    return row.number


def purge(database: Database, number: int, should_stop: Callable[[], bool] = lambda: False) -> None:
    """Delete what is stored of a hidden or an unfinished model, a few megabytes per transaction, as gigabytes hold up others."""
    with database.read() as session:
        sizes = {file.name: file.chunk_bytes for file in files_of(session, number)}
    for name, chunk_bytes in sizes.items():
        of_file = (ModelChunk.model == number, ModelChunk.file == name)
        count = max(1, _BATCH_BYTES // chunk_bytes)
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


def ids_of_running(session: Session) -> set[str]:
    """The ids of the models that running jobs read."""
    rows = session.execute(select(*_models_of_job()).where(Job.status == Status.RUNNING)).all()
    return {name for row in rows for name in row if name is not None and is_model_id(name)}


def purge_abandoned(database: Database, should_stop: Callable[[], bool]) -> None:
    """Delete uploads, and deletions, whose process died half-way. Called by the worker's maintenance thread."""
    abandoned = (~UploadedModel.complete, UploadedModel.created_at < now_sql(-_ABANDONED_SECONDS))
    with database.read() as session:
        numbers = session.scalars(select(UploadedModel.number).where(*abandoned)).all()
    for number in numbers:
        purge(database, number, should_stop)


def _write_files(database: Database, number: int, content: ModelContent) -> None:
    with database.read() as session:
        rows = files_of(session, number)
    for row in rows:
        source = content.files[row.name].file
        source.seek(0)
        if row.storage is not None and row.object_name is not None:
            open_bucket(row.storage).put(row.object_name, _pieces(source, PART_BYTES))
            continue
        batch: list[dict[str, Any]] = []
        for piece, data in enumerate(_pieces(source, row.chunk_bytes)):
            batch.append({"model": number, "file": row.name, "number": piece, "data": data})
            if len(batch) * row.chunk_bytes >= _BATCH_BYTES:
                _insert(database, batch)
                batch = []
        if batch:
            _insert(database, batch)


def _insert(database: Database, batch: list[dict[str, Any]]) -> None:
    with database.write() as session:
        session.execute(insert(ModelChunk), batch)


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    while data := file.read(size):
        yield data


def _chunk(database: Database, file: ModelFile, number: int) -> bytes:
    where = (ModelChunk.model == file.model, ModelChunk.file == file.name, ModelChunk.number == number)
    with database.read() as session:
        data = session.scalars(select(ModelChunk.data).where(*where)).one_or_none()
    if data is None:
        raise UploadedModelNotFoundError(f"number {file.model}")
    return bytes(data)


def _require_file(database: Database, file: ModelFile) -> None:
    """The object outlives its row for a while, but must not be read any more."""
    with database.read() as session:
        if session.get(ModelFile, (file.model, file.name)) is None:
            raise UploadedModelNotFoundError(f"number {file.model}")


def _find(session: Session, model_id: str, owner: str | None) -> UploadedModel | None:
    statement = select(UploadedModel).where(UploadedModel.id == model_id, UploadedModel.complete, *_owned_by(owner))
    return session.scalars(statement).one_or_none()


def _owned_by(owner: str | None) -> list[ColumnElement[bool]]:
    return [UploadedModel.owner == owner] if owner is not None else []


def _models_of_job() -> tuple[ColumnElement[str], ColumnElement[str]]:
    return Job.spec["model"].as_string(), Job.spec["teacher"].as_string()
