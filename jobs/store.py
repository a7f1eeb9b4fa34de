"""What a user may do to jobs, and what can be read of them. Called by the API, inside its transactions; never commits."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, tuple_
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from jobs.clock import now_sql
from jobs.errors import CursorInvalid, IllegalTransition, JobNotFound
from jobs.ids import is_job_id
from jobs.models import Event, Job, Metric
from jobs.moves import lock, move, note
from jobs.states import TERMINAL, Status


def create(
    session: Session,
    *,
    spec: dict[str, Any],
    metadata: dict[str, Any] | None = None,
    priority: int = 0,
    max_duration: float | None = None,
    retried_from: str | None = None,
) -> Job:
    """Add a queued job with its first event, ``created``. Higher ``priority`` is sooner; ``max_duration`` in seconds."""
    job = Job(
        spec=spec, labels=metadata or {}, priority=priority, max_duration=max_duration, retried_from=retried_from,
        event_seq=1,
    )  # fmt: skip
    session.add(job)
    session.flush()
    data = {"status": Status.QUEUED} | ({"retried_from": retried_from} if retried_from else {})
    session.execute(insert(Event).values(job_id=job.id, seq=1, attempt=0, type="created", data=data))
    return job


def get(session: Session, job_id: str) -> Job:
    """Raises JobNotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def page(
    session: Session,
    *,
    limit: int,
    after: str | None = None,
    status: Status | None = None,
    task: str | None = None,
    model: str | None = None,
    method: str | None = None,
) -> tuple[list[Job], str | None]:
    """Newest first: at most ``limit`` jobs and the cursor of the next page, None on the last.

    The cursor names the place after the last row, so pages neither repeat nor skip while jobs come and go. Raises
    CursorInvalid.
    """
    statement = select(Job).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit + 1)
    if status is not None:
        statement = statement.where(Job.status == status)
    for field, value in (("task", task), ("model", model), ("method", method)):
        if value is not None:
            statement = statement.where(Job.spec[field].as_string() == value)
    if after is not None:
        created_at, job_id = _place(after)
        statement = statement.where(_before(created_at, job_id))
    rows = list(session.scalars(statement))
    return rows[:limit], _cursor(rows[limit - 1]) if len(rows) > limit else None


def events(session: Session, job_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[Event]:
    """The events numbered above ``after``, in order; empty for a job that does not exist."""
    statement = select(Event).where(Event.job_id == job_id, Event.seq > after).order_by(Event.seq).limit(limit)
    return session.scalars(statement).all()


def metrics(session: Session, job_id: str, *, after: int = 0, limit: int = 10_000) -> Sequence[Metric]:
    """Metric rows with an ``id`` above ``after``, in the order they were written; empty for a job that does not exist."""
    statement = select(Metric).where(Metric.job_id == job_id, Metric.id > after).order_by(Metric.id).limit(limit)
    return session.scalars(statement).all()


def request_cancel(session: Session, job_id: str) -> Job:
    """Cancel at once what no worker runs; ask the worker for the rest, which is gone within seconds.

    A worker that lost its lease is not asked. Asking again changes nothing. Raises JobNotFound, or IllegalTransition for
    a job that succeeded or failed.
    """
    job = _locked(session, job_id)
    if job.status is Status.CANCELLED:
        return job
    if job.status is Status.RUNNING and not _abandoned(session, job_id):
        if job.cancel_requested_at is not None:
            return job
        return _wish(session, job_id, "cancel_requested", cancel_requested_at=now_sql())
    changed = move(session, Status.CANCELLED, job_id, about=_about(job), cancel_requested_at=now_sql())
    return _allowed(changed, job, "cancelled")


def request_pause(session: Session, job_id: str) -> Job:
    """Pause at once a queued job; ask the worker of a running one, which leaves a checkpoint first.

    A worker that lost its lease is not asked. Asking again changes nothing. Raises JobNotFound, or IllegalTransition for
    a job that is finished or about to be cancelled.
    """
    job = _locked(session, job_id)
    if job.status is Status.PAUSED:
        return job
    if job.status is Status.RUNNING:
        if job.cancel_requested_at is not None:
            raise IllegalTransition(job_id, job.status, "paused: it is about to be cancelled")
        if not _abandoned(session, job_id):
            if job.pause_requested_at is not None:
                return job
            return _wish(session, job_id, "pause_requested", pause_requested_at=now_sql())
    return _allowed(move(session, Status.PAUSED, job_id, about=_about(job)), job, "paused")


def resume(session: Session, job_id: str) -> Job:
    """Queue a paused job again, or take back the wish to pause a running one; nothing to do for a queued one.

    Raises JobNotFound, or IllegalTransition for a finished job.
    """
    job = _locked(session, job_id)
    if job.status is Status.RUNNING and job.pause_requested_at is not None:
        return _wish(session, job_id, "pause_withdrawn", pause_requested_at=None)
    if job.status in (Status.RUNNING, Status.QUEUED):
        return job
    changed = move(session, Status.QUEUED, job_id, about={"reason": "resumed"}, not_before=now_sql())
    return _allowed(changed, job, "resumed")


def retry(session: Session, job_id: str) -> Job:
    """A new job that does a failed or cancelled one again, from the first step.

    Asking again while that one has not ended returns it. Raises JobNotFound, or IllegalTransition for any other job.
    """
    job = _locked(session, job_id)
    if job.status not in (Status.FAILED, Status.CANCELLED):
        raise IllegalTransition(job_id, job.status, "retried: only what failed or was cancelled can be")
    under_way = select(Job).where(Job.retried_from == job_id, Job.status.not_in(sorted(TERMINAL))).limit(1)
    return session.scalars(under_way).first() or create(
        session, spec=job.spec, metadata=job.labels, priority=job.priority, max_duration=job.max_duration,
        retried_from=job_id,
    )  # fmt: skip


def delete(session: Session, job_id: str) -> None:
    """Remove a finished job with everything of it. Raises JobNotFound, or IllegalTransition while it is not finished."""
    gone = session.execute(sql_delete(Job).where(Job.id == job_id, Job.status.in_(sorted(TERMINAL))).returning(Job.id))
    if gone.scalar_one_or_none() is None:
        raise IllegalTransition(job_id, get(session, job_id).status, "deleted before it is finished")


def _locked(session: Session, job_id: str) -> Job:
    job = lock(session, Job.id == job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def _abandoned(session: Session, job_id: str) -> bool:
    """Whether the worker of a running job lost its lease. The caller holds the row."""
    late = select(Job.id).where(Job.id == job_id, Job.status == Status.RUNNING, Job.lease_expires_at < now_sql())
    return session.scalars(late).first() is not None


def _about(job: Job) -> dict[str, Any]:
    """Why a user's wish is fulfilled here and not by a worker."""
    return {"reason": "requested"} | ({"forced": "worker_lost"} if job.status is Status.RUNNING else {})


def _wish(session: Session, job_id: str, event: str, **values: Any) -> Job:
    job = note(session, [Job.id == job_id, Job.status == Status.RUNNING], event, {}, **values)
    if job is None:
        raise JobNotFound(job_id)
    return job


def _allowed(changed: Job | None, job: Job, wanted: str) -> Job:
    if changed is None:
        raise IllegalTransition(job.id, job.status, wanted)
    return changed


def _before(created_at: datetime, job_id: str) -> ColumnElement[bool]:
    return tuple_(Job.created_at, Job.id) < tuple_(created_at, job_id)


def _cursor(job: Job) -> str:
    return base64.urlsafe_b64encode(f"{job.created_at.isoformat()} {job.id}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, str]:
    try:
        written, job_id = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        created_at = datetime.fromisoformat(written)
    except (binascii.Error, ValueError) as error:
        raise CursorInvalid from error
    if created_at.tzinfo != UTC or not is_job_id(job_id):
        raise CursorInvalid
    return created_at, job_id
