"""Uploaded data sets, stored in the database in chunks: written and read by the API, downloaded by the worker.

Each split is stored as a file ``<split>.jsonl.gz`` of normalised rows, the form that the trainer reads. The code shared with
uploaded models is in ``service.uploads``.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from sqlalchemy import ColumnElement, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from service.access.quotas import Quota
from service.db.engine import Database
from service.db.models import Dataset, DatasetChunk, Job
from service.db.paging import json_bytes
from service.errors import DatasetInUseError, DatasetNotFoundError
from service.ids import is_dataset_id
from service.states import TERMINAL
from service.uploads import UploadTable, write_chunks

_ABANDONED_SECONDS = 3600.0
_OF_JOB: ColumnElement[str] = Job.spec[("task", "dataset")].as_string()
_table = UploadTable(
    Dataset,
    kind="data set",
    prefix="ds_",
    is_id=is_dataset_id,
    missing=DatasetNotFoundError,
    in_use=DatasetInUseError,
    named_by_job=[_OF_JOB],
    row_bytes=lambda row: json_bytes(row.splits),
)
dataset_id_for, get, page, lock_for_reader = _table.id_for, _table.get, _table.page, _table.lock_for_reader

OnStored = Callable[[Session, Dataset, bool], None]
"""Called inside the last transaction with the data set and whether it is new."""


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
    """Store the files of ``splits``. Like :meth:`service.uploads.UploadTable.put`, with the same exceptions."""
    size = sum(file.seek(0, os.SEEK_END) for file in files.values())
    row = Dataset(id=dataset_id_for(owner, sha256), owner=owner, name=name, sha256=sha256, splits=splits, size=size)

    def write(number: int) -> None:
        for split, file in files.items():
            write_chunks(database, DatasetChunk, {"dataset": number, "split": split}, file, chunk_bytes)

    def discard(number: int) -> None:
        with database.write() as session:
            session.execute(sql_delete(Dataset).where(Dataset.number == number, ~Dataset.complete))

    _table.put(database, row, write=write, discard=discard, on_stored=on_stored, quota=quota)


def delete(session: Session, dataset_id: str, *, owner: str | None = None) -> None:
    """Delete a data set. Raises DatasetNotFoundError; DatasetInUseError while a job that has not ended reads it."""
    row = _table.lock_unused(session, dataset_id, owner=owner)
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
    return _table.ids_named(session, Job.status.not_in(sorted(TERMINAL)))


def delete_abandoned(session: Session) -> None:
    """Delete uploads whose process ended before they were complete. Called by the worker's maintenance thread."""
    session.execute(sql_delete(Dataset).where(*_table.abandoned(_ABANDONED_SECONDS)))
