"""Uploaded data sets, stored in the database in chunks: written and read by the API, downloaded by the worker.

A data set is identified by owner and content, so it never changes, and the same upload twice is one. Each split is stored as a
file ``<split>.jsonl.gz`` of normalised rows, the form that the trainer reads. ``owner`` is the owner whose data sets the caller
may see, as in ``service.jobs.commands``.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.access import quotas
from service.access.quotas import Quota
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Dataset, DatasetChunk, Job
from service.db.paging import fill_page, json_bytes
from service.errors import DatasetInUseError, DatasetNotFoundError
from service.ids import is_dataset_id
from service.states import TERMINAL

_BATCH_BYTES = 4 * 1024 * 1024  # written per transaction: heartbeats must get SQLite's write lock in time
_BATCH = 10
"""Data sets of a list read at a time."""
_ABANDONED_SECONDS = 3600.0

OnStored = Callable[[Session, Dataset, bool], None]
"""Called inside the last transaction with the data set and whether it is new."""


def dataset_id_for(owner: str, sha256: str) -> str:
    """The id of this content of this owner: ``ds_`` and 32 hexadecimal digits."""
    return "ds_" + hashlib.sha256(f"{owner}\n{sha256}".encode()).hexdigest()[:32]


def put(
    database: Database,
    *,
    owner: str,
    name: str | None,
    sha256: str,
    splits: dict[str, Any],
    files: Mapping[str, IO[bytes]],
    chunk_bytes: int,
    on_stored: OnStored,
    quota: Quota | None = None,
) -> None:
    """Store the files of ``splits``, unless this owner has the same content already; readers see all of it or nothing.

    Opens its own transactions. Raises QuotaExceededError, and whatever ``on_stored`` does, with nothing stored then.
    """
    dataset_id, size = dataset_id_for(owner, sha256), sum(_size(file) for file in files.values())
    with database.write() as session:
        if (existing := _find(session, dataset_id, owner)) is not None:
            on_stored(session, existing, False)
            return
        quotas.check_dataset(session, quota or Quota(), owner, size)
        row = Dataset(id=dataset_id, owner=owner, name=name, sha256=sha256, splits=splits, size=size)
        session.add(row)
        session.flush()
    try:
        for split, file in files.items():
            for batch in _batches(file, chunk_bytes):
                with database.write() as session:
                    rows = [{"dataset": row.number, "split": split, "number": n, "data": data} for n, data in batch]
                    session.execute(insert(DatasetChunk), rows)
        with database.write() as session:
            concurrent = select(Dataset.number).where(Dataset.id == dataset_id, Dataset.complete)
            if session.scalars(concurrent).first() is None:
                session.execute(update(Dataset).where(Dataset.number == row.number).values(complete=True))
                on_stored(session, row, True)
                return
    except IntegrityError:  # a concurrent upload of the same content was completed at the same moment
        _delete_incomplete(database, row.number)
    except BaseException:
        _delete_incomplete(database, row.number)
        raise
    _delete_incomplete(database, row.number)
    with database.write() as session:
        on_stored(session, get(session, dataset_id, owner=owner), False)


def get(session: Session, dataset_id: str, *, owner: str | None = None) -> Dataset:
    """A complete data set. Raises DatasetNotFoundError."""
    found = _find(session, dataset_id, owner)
    if found is None:
        raise DatasetNotFoundError(dataset_id)
    return found


def page(
    session: Session, *, limit: int, owner: str | None = None, after: int | None = None
) -> tuple[Sequence[Dataset], int | None]:
    """Newest first: at most ``limit`` data sets below number ``after``, and the ``after`` of the next page, None on the last."""
    page, more = fill_page(_read_batches(session, limit, owner, after), lambda row: json_bytes(row.splits), limit)
    return page, page[-1].number if more else None


def _read_batches(session: Session, limit: int, owner: str | None, after: int | None) -> Iterator[Sequence[Dataset]]:
    """One more than ``limit``, some at a time: the statistics of columns may take a megabyte each."""
    missing = limit + 1
    while missing:
        count = min(missing, _BATCH)
        statement = select(Dataset).where(Dataset.complete, *_owned_by(owner)).order_by(Dataset.number.desc())
        if after is not None:
            statement = statement.where(Dataset.number < after)
        rows = session.scalars(statement.limit(count)).all()
        yield rows
        if len(rows) < count:
            return
        missing, after = missing - count, rows[-1].number


def lock_for_reader(session: Session, dataset_id: str, *, owner: str) -> Dataset:
    """Protect a data set from deletion until this transaction, which adds a job that reads it, has ended.

    Raises DatasetNotFoundError.
    """
    statement = select(Dataset).where(Dataset.id == dataset_id, Dataset.complete, *_owned_by(owner))
    found = session.scalars(statement.with_for_update(read=True, key_share=True)).one_or_none()
    if found is None:
        raise DatasetNotFoundError(dataset_id)
    return found


def delete(session: Session, dataset_id: str, *, owner: str | None = None) -> None:
    """Delete a data set. Raises DatasetNotFoundError; DatasetInUseError while a job that has not ended reads it."""
    statement = select(Dataset).where(Dataset.id == dataset_id, Dataset.complete, *_owned_by(owner))
    row = session.scalars(statement.with_for_update()).one_or_none()
    if row is None:
        raise DatasetNotFoundError(dataset_id)
    readers = session.scalars(
        select(Job.id).where(_dataset_of_job() == dataset_id, Job.status.not_in(sorted(TERMINAL))).limit(3)
    ).all()
    if readers:
        raise DatasetInUseError(
            f"Data set {dataset_id} is read by {', '.join(readers)}; wait for its end or cancel it."
        )
    session.execute(sql_delete(Dataset).where(Dataset.number == row.number))


def iter_split(database: Database, number: int, split: str) -> Iterator[bytes]:
    """The bytes of a split's file, a chunk at a time, each read in a transaction of its own.

    Raises DatasetNotFoundError, half-way too when the data set is deleted meanwhile.
    """
    piece = 0
    while True:
        with database.read() as session:
            row = session.get(Dataset, number)
            data = session.scalars(
                select(DatasetChunk.data).where(
                    DatasetChunk.dataset == number, DatasetChunk.split == split, DatasetChunk.number == piece
                )
            ).one_or_none()
        if row is None:
            raise DatasetNotFoundError(f"{number}")
        if data is None:
            return
        yield bytes(data)
        piece += 1


def dataset_named_in(spec: Mapping[str, Any]) -> str | None:
    """The id of the uploaded data set that a spec names; None if it names none."""
    task = spec.get("task")
    name = task.get("dataset") if isinstance(task, Mapping) else None
    return name if isinstance(name, str) and is_dataset_id(name) else None


def ids_in_use(session: Session) -> set[str]:
    """The ids of the data sets that are read by jobs which have not ended."""
    found = select(_dataset_of_job()).where(Job.status.not_in(sorted(TERMINAL))).distinct()
    return {name for name in session.scalars(found) if name is not None and is_dataset_id(name)}


def delete_abandoned(session: Session) -> None:
    """Delete uploads whose process died half-way. Called by the worker's maintenance thread."""
    abandoned = (~Dataset.complete, Dataset.created_at < now_sql(-_ABANDONED_SECONDS))
    session.execute(sql_delete(Dataset).where(*abandoned))


def _find(session: Session, dataset_id: str, owner: str | None) -> Dataset | None:
    statement = select(Dataset).where(Dataset.id == dataset_id, Dataset.complete, *_owned_by(owner))
    return session.scalars(statement).one_or_none()


def _owned_by(owner: str | None) -> list[ColumnElement[bool]]:
    return [Dataset.owner == owner] if owner is not None else []


def _dataset_of_job() -> ColumnElement[str]:
    name: ColumnElement[str] = Job.spec[("task", "dataset")].as_string()
    return name


def _delete_incomplete(database: Database, number: int) -> None:
    with database.write() as session:
        session.execute(sql_delete(Dataset).where(Dataset.number == number, ~Dataset.complete))


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _batches(file: IO[bytes], chunk_bytes: int) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered chunks in lists of a few megabytes."""
    batch: list[tuple[int, bytes]] = []
    number = 0
    while data := file.read(chunk_bytes):
        batch.append((number, data))
        number += 1
        if len(batch) * chunk_bytes >= _BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch
