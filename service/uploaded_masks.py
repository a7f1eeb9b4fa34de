"""Uploaded masks, stored in the database in chunks: written by the API, read by the worker for the jobs that start from them.

A mask is small (a bit for each masked weight), so it is neither cached by workers nor put into an object storage. What it has in
common with uploaded data sets and models is ``service.uploads``.
"""

from collections.abc import Callable, Iterator
from typing import IO, Any

from sqlalchemy import delete as sql_delete
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.access.quotas import Quota
from service.db.engine import Database
from service.db.models import Job, MaskChunk, UploadedMask
from service.errors import MaskInUseError, UploadedMaskNotFoundError
from service.ids import is_mask_id
from service.uploads import UploadTable, write_chunks

_ABANDONED_SECONDS = 3600.0
_table = UploadTable(
    UploadedMask,
    kind="mask",
    prefix="msk_",
    is_id=is_mask_id,
    missing=UploadedMaskNotFoundError,
    in_use=MaskInUseError,
    named_by_job=[Job.spec["init_from"].as_string()],
)
mask_id_for, get, page, lock_for_reader = _table.id_for, _table.get, _table.page, _table.lock_for_reader

OnStored = Callable[[Session, UploadedMask, bool], None]
"""Called inside the last transaction with the mask and whether it is new."""


def put(
    database: Database,
    *,
    owner: str,
    name: str | None,
    sha256: str,
    size: int,
    about: dict[str, Any],
    file: IO[bytes],
    chunk_bytes: int,
    on_stored: OnStored,
    quota: Quota | None = None,
) -> None:
    """Store a mask file. As :meth:`service.uploads.UploadTable.put`, and raises what that does."""
    row = UploadedMask(id=mask_id_for(owner, sha256), owner=owner, name=name, sha256=sha256, size=size, about=about)

    def write(number: int) -> None:
        write_chunks(database, MaskChunk, {"mask": number}, file, chunk_bytes)

    def discard(number: int) -> None:
        with database.write() as session:
            session.execute(sql_delete(UploadedMask).where(UploadedMask.number == number, ~UploadedMask.complete))

    _table.put(database, row, write=write, discard=discard, on_stored=on_stored, quota=quota)


def delete(session: Session, mask_id: str, *, owner: str | None = None) -> None:
    """Delete a mask. Raises UploadedMaskNotFoundError; MaskInUseError while a job that has not ended starts from it."""
    row = _table.lock_unused(session, mask_id, owner=owner)
    session.execute(sql_delete(UploadedMask).where(UploadedMask.number == row.number))


def iter_bytes(database: Database, row: UploadedMask) -> Iterator[bytes]:
    """The bytes of the file, a chunk at a time, each read in a transaction of its own."""
    piece = 0
    while True:
        with database.read() as session:
            found = select(MaskChunk.data).where(MaskChunk.mask == row.number, MaskChunk.number == piece)
            data = session.scalars(found).one_or_none()
        if data is None:
            return
        yield bytes(data)
        piece += 1


def lock_start(session: Session, spec: dict[str, Any], *, owner: str) -> None:
    """Protect the uploaded mask that ``spec`` starts from, if it does, from deletion until this transaction has ended.

    Raises UploadedMaskNotFoundError.
    """
    start = spec.get("init_from")
    if start is not None and is_mask_id(start):
        lock_for_reader(session, start, owner=owner)


def delete_abandoned(session: Session) -> None:
    """Delete uploads whose process died half-way. Called by the worker's maintenance thread."""
    session.execute(sql_delete(UploadedMask).where(*_table.abandoned(_ABANDONED_SECONDS)))
