"""What a user may do to jobs, and what can be read of them. Called by the API, inside its transactions; never commits.

``owner`` is who asks: a job of somebody else is not found. None may see all, as administrators and the service itself do.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Row, String, bindparam, func, insert, select
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from service.db import cursors
from service.db.clock import now_sql
from service.db.models import LOCAL, Event, Job, Metric
from service.errors import IllegalTransitionError, JobNotFoundError
from service.jobs import status_messages
from service.jobs.metadata_filter import metadata_equals
from service.jobs.transitions import append_event, lock_dependents, lock_row, transition
from service.states import TERMINAL, Status

# built once and of columns, not entities: either would cost more than the query
_JOBS, _EVENT, _METRIC = Job.__table__.c, Event.__table__.c, Metric.__table__.c
_ASKED, _AFTER = bindparam("job", type_=String()), bindparam("after", type_=BigInteger())
_OWNER = select(_JOBS.owner).where(_JOBS.id == _ASKED)
_EVENTS = (
    select(*_EVENT)
    .where(_EVENT.job_id == _ASKED, _EVENT.seq > _AFTER)
    .order_by(_EVENT.seq)
    .limit(bindparam("limit", type_=Integer()))
)
_METRICS = (
    select(*_METRIC)
    .where(_METRIC.job_id == _ASKED, _METRIC.id > _AFTER)
    .order_by(_METRIC.id)
    .limit(bindparam("limit", type_=Integer()))
)


def create(
    session: Session,
    *,
    spec: dict[str, Any],
    owner: str = LOCAL,
    metadata: dict[str, Any] | None = None,
    priority: int = 0,
    max_duration: float | None = None,
    exports: Sequence[str] = (),
    retried_from: str | None = None,
    sweep_id: str | None = None,
    export_of: str | None = None,
) -> Job:
    """Add a queued job with its first event, ``created``. Higher ``priority`` is sooner; ``max_duration`` in seconds."""
    job = Job(
        spec=spec, owner=owner, user_metadata=metadata or {}, priority=priority, max_duration=max_duration,
        exports=list(exports) or None, retried_from=retried_from, sweep_id=sweep_id, export_of=export_of, event_seq=1,
    )  # fmt: skip
    session.add(job)
    session.flush()
    origin = {"retried_from": retried_from, "export_of": export_of}
    data = {"status": Status.QUEUED, **{name: job_id for name, job_id in origin.items() if job_id is not None}}
    session.execute(insert(Event).values(job_id=job.id, seq=1, attempt=0, type="created", data=data))
    return job


def get(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """Raises JobNotFoundError."""
    job = session.get(Job, job_id)
    if job is None or owner not in (None, job.owner):
        raise JobNotFoundError(job_id)
    return job


def require(session: Session, job_id: str, *, owner: str | None = None) -> None:
    """That there is such a job, without reading it. Raises JobNotFoundError."""
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
    exporting: bool = False,
    export_of: str | None = None,
) -> tuple[list[str], str | None]:
    """Newest first: the ids of at most ``limit`` jobs and the cursor of the next page, None on the last.

    Jobs that prune; with ``exporting`` those that export, or with ``export_of`` those that export that job's mask.

    The cursor names the place after the last row, so pages neither repeat nor skip while jobs come and go. Raises
    InvalidCursorError.
    """
    statement = select(Job.id, Job.created_at).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit + 1)
    if export_of is not None:
        statement = statement.where(Job.export_of == export_of)
    else:
        statement = statement.where(Job.export_of.is_not(None) if exporting else Job.export_of.is_(None))
    if sweep is not None:
        statement = statement.where(Job.sweep_id == sweep)
    wanted = {Job.owner: owner, Job.status: status, Job.task: task, Job.model: model, Job.method: method}
    for column, value in wanted.items():
        if value is not None:
            # few jobs are of a sweep, so its index is the one to take; SQLite cannot know, and takes no index for an expression
            statement = statement.where((column if sweep is None else func.coalesce(column, column)) == value)
    statement = statement.where(*(metadata_equals(key, value) for key, value in metadata))
    if after is not None:
        statement = statement.where(cursors.rows_after(after, "job_", Job.created_at, Job.id))
    rows = session.execute(statement).all()
    onward = cursors.encode(rows[limit - 1].created_at, rows[limit - 1].id) if len(rows) > limit else None
    return [row.id for row in rows[:limit]], onward


def count_queued(session: Session, *, owner: str) -> int:
    """How many jobs of ``owner`` wait."""
    waiting = select(func.count()).select_from(Job).where(Job.owner == owner, Job.status == Status.QUEUED)
    return session.scalars(waiting).one()


def events(session: Session, job_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Row[Any]]:
    """The events numbered above ``after``, in order, as plain rows with the names of ``Event``; empty for a job that does
    not exist."""
    return session.connection().execute(_EVENTS, {"job": job_id, "after": after, "limit": limit}).all()


def metrics(session: Session, job_id: str, *, after: int = 0, limit: int = 10_000) -> Sequence[Row[Any]]:
    """Rows with an ``id`` above ``after``, in the order they were written, plain and with the names of ``Metric``; empty
    for a job that does not exist."""
    return session.connection().execute(_METRICS, {"job": job_id, "after": after, "limit": limit}).all()


def request_cancel(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """Cancel at once what no worker runs; ask the worker for the rest, which is gone within seconds.

    A worker that lost its lease is not asked. Asking again changes nothing. Raises JobNotFoundError, or IllegalTransitionError for
    a job that succeeded or failed.
    """
    job = _locked(session, job_id, owner)
    if job.status is Status.CANCELLED:
        return job
    if job.status is Status.RUNNING and not _abandoned(session, job_id):
        if job.cancel_requested_at is not None:
            return job
        return _wish(session, job_id, "cancel_requested", cancel_requested_at=now_sql())
    changed = transition(session, Status.CANCELLED, job_id, details=_about(job), cancel_requested_at=now_sql())
    return _allowed(changed, job, "cancelled")


def request_pause(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """Pause at once a queued job; ask the worker of a running one, which leaves a checkpoint first.

    A worker that lost its lease is not asked. Asking again changes nothing. Raises JobNotFoundError, or IllegalTransitionError for
    a job that is finished or about to be cancelled.
    """
    job = _locked(session, job_id, owner)
    if job.status is Status.PAUSED:
        return job
    if job.status is Status.RUNNING:
        if job.cancel_requested_at is not None:
            raise IllegalTransitionError(job_id, job.status, "paused: it is about to be cancelled")
        if not _abandoned(session, job_id):
            if job.pause_requested_at is not None:
                return job
            return _wish(session, job_id, "pause_requested", pause_requested_at=now_sql())
    return _allowed(transition(session, Status.PAUSED, job_id, details=_about(job)), job, "paused")


def resume(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """Queue a paused job again, or take back the wish to pause a running one; nothing to do for a queued one.

    Raises JobNotFoundError, or IllegalTransitionError for a finished job.
    """
    job = _locked(session, job_id, owner)
    if job.status is Status.RUNNING and job.pause_requested_at is not None:
        return _wish(session, job_id, "pause_withdrawn", pause_requested_at=None)
    if job.status in (Status.RUNNING, Status.QUEUED):
        return job
    changed = transition(session, Status.QUEUED, job_id, details={"reason": "resumed"}, not_before=now_sql())
    return _allowed(changed, job, "resumed")


def retry(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """A new job that does a failed or cancelled one again, from the first step.

    Asking again while that one has not ended returns it. Raises JobNotFoundError, or IllegalTransitionError for any other job.
    """
    job = _locked(session, job_id, owner)
    if job.status not in (Status.FAILED, Status.CANCELLED):
        raise IllegalTransitionError(job_id, job.status, "retried: only what failed or was cancelled can be")
    open_one = select(Job).where(Job.retried_from == job_id, Job.status.not_in(sorted(TERMINAL))).limit(1)
    if (under_way := session.scalars(open_one).first()) is not None:
        return under_way
    again = create(
        session, spec=job.spec, owner=job.owner, metadata=job.user_metadata, priority=job.priority,
        max_duration=job.max_duration, exports=job.exports or (), retried_from=job_id, sweep_id=job.sweep_id,
        export_of=job.export_of,
    )  # fmt: skip
    status_messages.copy_webhooks(session, job_id, again.id)
    return again


def delete(session: Session, job_id: str, *, owner: str | None = None) -> None:
    """Remove a finished job with everything of it, its exports too, whose runs end then.

    Raises JobNotFoundError, or IllegalTransitionError while it is not finished.
    """
    job = _locked(session, job_id, owner)
    if job.status not in TERMINAL:
        raise IllegalTransitionError(job_id, job.status, "deleted before it is finished")
    lock_dependents(session, [job_id])
    session.execute(sql_delete(Job).where(Job.id == job_id))


def _locked(session: Session, job_id: str, owner: str | None) -> Job:
    job = lock_row(session, *_of(job_id, owner))
    if job is None:
        raise JobNotFoundError(job_id)
    return job


def _of(job_id: str, owner: str | None) -> list[ColumnElement[bool]]:
    return [Job.id == job_id, *([Job.owner == owner] if owner is not None else [])]


def _abandoned(session: Session, job_id: str) -> bool:
    """Whether the worker of a running job lost its lease. The caller holds the row."""
    late = select(Job.id).where(Job.id == job_id, Job.status == Status.RUNNING, Job.lease_expires_at < now_sql())
    return session.scalars(late).first() is not None


def _about(job: Job) -> dict[str, Any]:
    """Why a user's wish is fulfilled here and not by a worker."""
    return {"reason": "requested"} | ({"forced": "worker_lost"} if job.status is Status.RUNNING else {})


def _wish(session: Session, job_id: str, event: str, **values: Any) -> Job:
    job = append_event(session, [Job.id == job_id, Job.status == Status.RUNNING], event, {}, **values)
    if job is None:
        raise JobNotFoundError(job_id)
    return job


def _allowed(changed: Job | None, job: Job, wanted: str) -> Job:
    if changed is None:
        raise IllegalTransitionError(job.id, job.status, wanted)
    return changed
