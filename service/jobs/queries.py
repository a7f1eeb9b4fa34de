"""Read queries about jobs: one job, pages of a list, events, metrics.

Called by the API inside its transactions. ``owner`` is the owner whose jobs the caller may see: any other job is not found.
None sees all, as administrators and the service itself do.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Row, Select, String, Text, bindparam, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from service.db.models import Event, Job, Metric
from service.db.paging import encode_cursor, fill_page, json_bytes, rows_after
from service.errors import JobNotFoundError
from service.states import JobKind, Status

# built once, and of columns instead of entities: building them or loading entities would cost more than the query
_JOBS, _EVENT, _METRIC = Job.__table__.c, Event.__table__.c, Metric.__table__.c
_JOB_ID, _AFTER = bindparam("job", type_=String()), bindparam("after", type_=BigInteger())
_BATCH = 128
"""Rows of a history read at a time, each up to 64 KiB."""
_OWNER = select(_JOBS.owner).where(_JOBS.id == _JOB_ID)
_EVENTS = (
    select(*_EVENT)
    .where(_EVENT.job_id == _JOB_ID, _EVENT.seq > _AFTER)
    .order_by(_EVENT.seq)
    .limit(bindparam("limit", type_=Integer()))
)
_METRICS = (
    select(*_METRIC)
    .where(_METRIC.job_id == _JOB_ID, _METRIC.id > _AFTER)
    .order_by(_METRIC.id)
    .limit(bindparam("limit", type_=Integer()))
)


def get(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """The job. Raises JobNotFoundError."""
    job = session.get(Job, job_id)
    if job is None or owner not in (None, job.owner):
        raise JobNotFoundError(job_id)
    return job


def require(session: Session, job_id: str, *, owner: str | None = None) -> None:
    """Check that the job exists, without loading it. Raises JobNotFoundError."""
    found = session.connection().execute(_OWNER, {"job": job_id}).scalar_one_or_none()
    if found is None or owner not in (None, found):
        raise JobNotFoundError(job_id)


def page(
    session: Session,
    *,
    limit: int,
    owner: str | None = None,
    after: str | None = None,
    status: Status | None = None,
    task: str | None = None,
    model: str | None = None,
    method: str | None = None,
    sweep: str | None = None,
    metadata: Iterable[tuple[str, str]] = (),
    kind: JobKind = JobKind.PRUNING,
    of: str | None = None,
) -> tuple[list[str], str | None]:
    """One page of a list, newest first: the ids of at most ``limit`` jobs, and the cursor of the next page or None.

    Jobs of one ``kind``; with ``of`` those that read the mask of that job. Raises InvalidCursorError.
    """
    statement = select(Job.id, Job.created_at).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit + 1)
    if kind is JobKind.PRUNING:
        statement = statement.where(Job.export_of.is_(None))
    else:
        evaluates = Job.evaluation.is_not(None) if kind is JobKind.EVALUATION else Job.evaluation.is_(None)
        statement = statement.where(Job.export_of.is_not(None) if of is None else Job.export_of == of, evaluates)
    if sweep is not None:
        statement = statement.where(Job.sweep_id == sweep)
    wanted = {Job.owner: owner, Job.status: status, Job.task: task, Job.model: model, Job.method: method}
    for column, value in wanted.items():
        if value is not None:
            # a sweep has few jobs, so its index is the one to use; SQLite cannot know that, and uses no index for an expression
            statement = statement.where((column if sweep is None else func.coalesce(column, column)) == value)
    statement = statement.where(*(metadata_equals(key, value) for key, value in metadata))
    if after is not None:
        statement = statement.where(rows_after(after, "job_", Job.created_at, Job.id))
    rows = session.execute(statement).all()
    next_cursor = encode_cursor(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
    return [row.id for row in rows[:limit]], next_cursor


def count_waiting(session: Session, *, owner: str) -> int:
    """Number of queued and paused jobs of ``owner``."""
    states = (Status.QUEUED, Status.PAUSED)
    waiting = select(func.count()).select_from(Job).where(Job.owner == owner, Job.status.in_(states))
    return session.scalars(waiting).one()


def count_ahead(session: Session, *, priority: int) -> tuple[int, int]:
    """Queued jobs, of all owners, that are taken before a job of ``priority`` that is submitted now; and running jobs."""
    queued = select(func.count()).select_from(Job).where(Job.status == Status.QUEUED, Job.priority >= priority)
    running = select(func.count()).select_from(Job).where(Job.status == Status.RUNNING)
    return session.scalars(queued).one(), session.scalars(running).one()


def events(session: Session, job_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Row[Any]]:
    """The rows of ``event_page``."""
    return event_page(session, job_id, after=after, limit=limit)[0]


def event_page(session: Session, job_id: str, *, after: int = 0, limit: int) -> tuple[list[Row[Any]], bool]:
    """Events numbered above ``after``, in order, at most ``limit`` and PAGE_BYTES, and whether more come after.

    Plain rows with the columns of ``Event``; none if there is no such job.
    """
    batches = _read_batches(session, _EVENTS, job_id, after, limit, lambda row: row.seq)
    return fill_page(batches, lambda row: json_bytes(row.data), limit)


def metric_page(session: Session, job_id: str, *, after: int = 0, limit: int) -> tuple[list[Row[Any]], bool]:
    """Like ``event_page``: rows with the columns of ``Metric`` and an ``id`` above ``after``, oldest first."""
    batches = _read_batches(session, _METRICS, job_id, after, limit, lambda row: row.id)
    return fill_page(batches, lambda row: json_bytes(row.values), limit)


def _read_batches(
    session: Session, statement: Select[Any], job_id: str, after: int, limit: int, position: Callable[[Row[Any]], int]
) -> Iterator[Sequence[Row[Any]]]:
    """Rows of a history, one more than ``limit``, some at a time."""
    missing = limit + 1
    while missing:
        count = min(missing, _BATCH)
        rows = session.connection().execute(statement, {"job": job_id, "after": after, "limit": count}).all()
        yield rows
        if len(rows) < count:
            return
        missing, after = missing - count, position(rows[-1])


class _MetadataValue(FunctionElement[str]):
    """Value under a key of the user's metadata. The key is a bound value and not a JSON path, so dots and quotes in it are
    literal."""

    type = Text()
    inherit_cache = True
    name = "espalier_metadata_value"


def metadata_equals(key: str, value: str) -> ColumnElement[bool]:
    """SQL expression: whether a job's metadata has ``value`` under ``key``."""
    return _MetadataValue(Job.user_metadata, literal(key, Text())) == literal(value, Text())


@compiles(_MetadataValue, "postgresql")
def _postgresql(element: _MetadataValue, compiler: SQLCompiler, **options: Any) -> str:
    document, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({document} ->> {key}::text)"


@compiles(_MetadataValue, "sqlite")
def _sqlite(element: _MetadataValue, compiler: SQLCompiler, **options: Any) -> str:
    document, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"(SELECT pair.value FROM json_each({document}) AS pair WHERE pair.key = {key})"  # noqa: S608 - bound
