"""Uploads: common storage of uploaded data sets and uploaded models.

An upload is identified by owner and content, so it never changes, and the same content is stored once. Its row becomes visible with
its last byte, and it is deleted only while no job that has not ended reads it. ``owner`` is the owner whose uploads the caller may
see, as in ``service.jobs.commands``. Called by ``service.datasets`` and ``service.uploaded_models``, which have their own tables of
bytes.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.access import quotas
from service.access.quotas import Quota
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Job
from service.db.models.upload import UploadColumns
from service.db.paging import fill_page
from service.errors import NotFoundError, ServiceError
from service.states import TERMINAL

Row = TypeVar("Row", bound=UploadColumns)
_BATCH_BYTES = 4 * 1024 * 1024  # written per transaction: heartbeats must get SQLite's write lock in time
_BATCH = 10
"""Rows of a list read at a time: the statistics of a data set's columns may take a megabyte each."""


class UploadTable(Generic[Row]):
    """The uploads of one kind: stored, found, listed, protected from deletion while jobs read them."""

    def __init__(
        self,
        row: type[Row],
        *,
        kind: str,
        prefix: str,
        is_id: Callable[[str], bool],
        missing: Callable[[str], NotFoundError],
        in_use: type[ServiceError],
        named_by_job: Sequence[ColumnElement[str]],
        row_bytes: Callable[[Row], int] = lambda _: 0,
    ) -> None:
        """``kind``: name in messages, e.g. "data set"; ``named_by_job``: where a job's spec may have an id; ``row_bytes``: what a
        row adds to a page."""
        self._row, self._kind, self._prefix, self._is_id = row, kind, prefix, is_id
        self._missing, self._in_use = missing, in_use
        self._named_by_job = tuple(named_by_job)
        self._row_bytes = row_bytes

    def id_for(self, owner: str, sha256: str) -> str:
        """The id of this content of this owner: the prefix and 32 hexadecimal digits."""
        return self._prefix + hashlib.sha256(f"{owner}\n{sha256}".encode()).hexdigest()[:32]

    def put(
        self,
        database: Database,
        row: Row,
        *,
        write: Callable[[int], None],
        discard: Callable[[int], None],
        on_stored: Callable[[Session, Row, bool], None],
        quota: Quota | None = None,
        on_added: Callable[[Session, Row], None] = lambda *_: None,
    ) -> None:
        """Store ``row``, unless its owner has the same content already; readers see all of it or nothing.

        ``write`` stores the bytes of a row by its number, ``discard`` deletes its bytes. ``on_added`` is called inside
        the first transaction, ``on_stored`` inside the last one, with the row and whether it is new. Opens its own transactions.
        Raises QuotaExceededError, and the exceptions of ``write`` and ``on_stored``, with nothing stored then.
        """
        upload_id, owner = row.id, row.owner
        with database.write() as session:
            if (existing := session.scalars(self._visible(upload_id, owner)).one_or_none()) is not None:
                on_stored(session, existing, False)
                return
            quotas.check_upload(session, quota or Quota(), owner, row.size, self._kind)
            session.add(row)
            session.flush()
            on_added(session, row)
        try:
            write(row.number)
            with database.write() as session:
                concurrent = select(self._row.number).where(self._row.id == upload_id, self._row.complete)
                if session.scalars(concurrent).first() is None:
                    session.execute(update(self._row).where(self._row.number == row.number).values(complete=True))
                    on_stored(session, row, True)
                    return
        except IntegrityError:  # a concurrent upload of the same content was completed at the same moment
            discard(row.number)
        except BaseException:
            discard(row.number)
            raise
        discard(row.number)
        with database.write() as session:
            on_stored(session, self.get(session, upload_id, owner=owner), False)

    def get(self, session: Session, upload_id: str, *, owner: str | None = None) -> Row:
        """A complete upload. Raises the NotFoundError of its kind."""
        return self._require(session, self._visible(upload_id, owner), upload_id)

    def page(
        self, session: Session, *, limit: int, owner: str | None = None, after: int | None = None
    ) -> tuple[Sequence[Row], int | None]:
        """Newest first: at most ``limit`` below number ``after``, and the ``after`` of the next page, None on the last."""
        page, more = fill_page(self._read_batches(session, limit, owner, after), self._row_bytes, limit)
        return page, page[-1].number if more else None

    def _read_batches(self, session: Session, limit: int, owner: str | None, after: int | None) -> Iterator[Sequence[Row]]:
        """One row more than ``limit``, read in batches."""
        missing = limit + 1
        while missing:
            count = min(missing, _BATCH)
            statement = self._visible(None, owner).order_by(self._row.number.desc())
            if after is not None:
                statement = statement.where(self._row.number < after)
            rows = session.scalars(statement.limit(count)).all()
            yield rows
            if len(rows) < count:
                return
            missing, after = missing - count, rows[-1].number

    def lock_for_reader(self, session: Session, upload_id: str, *, owner: str) -> Row:
        """Protect an upload from deletion until this transaction, which adds a job that reads it, has ended.

        Raises the NotFoundError of its kind.
        """
        statement = self._visible(upload_id, owner).with_for_update(read=True, key_share=True)
        return self._require(session, statement, upload_id)

    def lock_unused(self, session: Session, upload_id: str, *, owner: str | None = None) -> Row:
        """An upload that may be deleted in this transaction.

        Raises the NotFoundError of its kind, and its error for one that a job which has not ended reads.
        """
        row = self._require(session, self._visible(upload_id, owner).with_for_update(), upload_id)
        named = or_(*(name == upload_id for name in self._named_by_job))
        readers = session.scalars(select(Job.id).where(named, Job.status.not_in(sorted(TERMINAL))).limit(3)).all()
        if readers:
            raise self._in_use(
                f"{self._kind.capitalize()} {upload_id} is read by {', '.join(readers)}; wait for its end or cancel it."
            )
        return row

    def ids_named(self, session: Session, jobs: ColumnElement[bool]) -> set[str]:
        """The ids that the specs of these jobs name."""
        rows = session.execute(select(*self._named_by_job).where(jobs).distinct()).all()
        return {name for row in rows for name in row if name is not None and self._is_id(name)}

    def abandoned(self, seconds: float) -> tuple[ColumnElement[bool], ...]:
        """Conditions on rows of uploads, and of deletions, whose process ended half-way: incomplete, made so long ago."""
        return ~self._row.complete, self._row.created_at < now_sql(-seconds)

    def _visible(self, upload_id: str | None, owner: str | None) -> Select[Row]:
        statement = select(self._row).where(self._row.complete)
        if upload_id is not None:
            statement = statement.where(self._row.id == upload_id)
        return statement if owner is None else statement.where(self._row.owner == owner)

    def _require(self, session: Session, statement: Select[Row], upload_id: str) -> Row:
        found: Row | None = session.scalars(statement).one_or_none()
        if found is None:
            raise self._missing(upload_id)
        return found


def write_chunks(database: Database, table: type[Any], key: dict[str, Any], file: IO[bytes], chunk_bytes: int) -> None:
    """Insert ``file`` from its start as numbered chunks, in columns ``number`` and ``data`` in addition to those of ``key``.

    A transaction for every few megabytes.
    """
    file.seek(0)
    batch: list[dict[str, Any]] = []
    for number, data in enumerate(iter(lambda: file.read(chunk_bytes), b"")):
        batch.append({**key, "number": number, "data": data})
        if len(batch) * chunk_bytes >= _BATCH_BYTES:
            _insert(database, table, batch)
            batch = []
    if batch:
        _insert(database, table, batch)


def chunks_per_transaction(chunk_bytes: int) -> int:
    """Chunks that are written or deleted at a time."""
    return max(1, _BATCH_BYTES // chunk_bytes)


def _insert(database: Database, table: type[Any], batch: list[dict[str, Any]]) -> None:
    with database.write() as session:
        session.execute(insert(table), batch)
