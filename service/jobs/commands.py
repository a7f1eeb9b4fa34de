"""Commands of users on jobs: create, cancel, pause, resume, retry, delete.

Called by the API inside its transactions; never commits. ``owner`` is the owner whose jobs the caller may change: any other job
is not found. None allows all, as for administrators and the service itself.
"""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import delete as sql_delete
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import LOCAL, Event, Job, RunWarning, kind_of
from service.db.paging import json_bytes
from service.errors import IllegalTransitionError, JobNotFoundError
from service.jobs import status_messages
from service.jobs.transitions import append_event, lock_dependents, lock_row, transition
from service.protocol import required_protocol
from service.states import TERMINAL, Status
from service.tracing import spans


def create(
    session: Session,
    *,
    spec: dict[str, Any],
    owner: str = LOCAL,
    metadata: dict[str, Any] | None = None,
    priority: int = 0,
    max_duration: float | None = None,
    exports: Sequence[str] = (),
    warnings: Sequence[RunWarning] = (),
    retried_from: str | None = None,
    sweep_id: str | None = None,
    export_of: str | None = None,
    evaluation: dict[str, Any] | None = None,
) -> Job:
    """Add a queued job with its first event, ``created``. Jobs of higher ``priority`` are claimed first; ``max_duration`` in
    seconds.

    ``warnings`` are those known before it runs; with ``evaluation`` the mask of ``export_of`` is evaluated.
    """
    reads = "export_of" if evaluation is None else "evaluation_of"
    origin = {"retried_from": retried_from, reads: export_of}
    data = {"status": Status.QUEUED, **{name: job_id for name, job_id in origin.items() if job_id is not None}}
    job = Job(
        spec=spec,
        owner=owner,
        user_metadata=metadata or {},
        priority=priority,
        max_duration=max_duration,
        exports=list(exports) or (None if evaluation is None else []),
        evaluation=evaluation,
        warnings=[dict(warning) for warning in warnings] or None,
        retried_from=retried_from,
        sweep_id=sweep_id,
        export_of=export_of,
        trace_context=spans.current_context(),
        event_seq=1,
        record_bytes=json_bytes(spec, metadata or {}, data, *warnings),
    )
    job.protocol = required_protocol(kind_of(job))
    session.add(job)
    session.flush()
    session.execute(insert(Event).values(job_id=job.id, seq=1, attempt=0, type="created", data=data))
    return job


def request_cancel(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """Cancel at once a job that no worker runs; request it of the worker of a running one, which stops within seconds.

    A worker that lost its lease gets no request. Idempotent. Raises JobNotFoundError, or IllegalTransitionError for a job
    that succeeded or failed.
    """
    job = _lock_job(session, job_id, owner)
    if job.status is Status.CANCELLED:
        return job
    if job.status is Status.RUNNING and not _lease_expired(session, job_id):
        if job.cancel_requested_at is not None:
            return job
        return _record_request(session, job_id, "cancel_requested", cancel_requested_at=now_sql())
    changed = transition(session, Status.CANCELLED, job_id, details=_details(job), cancel_requested_at=now_sql())
    return _require_changed(changed, job, "cancelled")


def request_pause(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """Pause at once a queued job; request it of the worker of a running one, which writes a checkpoint first.

    A worker that lost its lease gets no request. Idempotent. Raises JobNotFoundError, or IllegalTransitionError for a job
    that has ended or is about to be cancelled.
    """
    job = _lock_job(session, job_id, owner)
    if job.status is Status.PAUSED:
        return job
    if job.status is Status.RUNNING:
        if job.cancel_requested_at is not None:
            raise IllegalTransitionError(job_id, job.status, "paused: it is about to be cancelled")
        if not _lease_expired(session, job_id):
            if job.pause_requested_at is not None:
                return job
            return _record_request(session, job_id, "pause_requested", pause_requested_at=now_sql())
    return _require_changed(transition(session, Status.PAUSED, job_id, details=_details(job)), job, "paused")


def resume(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """Queue a paused job again, or withdraw the request to pause a running one; a queued job stays as it is.

    Raises JobNotFoundError, or IllegalTransitionError for a job that has ended.
    """
    job = _lock_job(session, job_id, owner)
    if job.status is Status.RUNNING and job.pause_requested_at is not None:
        return _record_request(session, job_id, "pause_withdrawn", pause_requested_at=None)
    if job.status in (Status.RUNNING, Status.QUEUED):
        return job
    changed = transition(session, Status.QUEUED, job_id, details={"reason": "resumed"}, not_before=now_sql())
    return _require_changed(changed, job, "resumed")


def retry(session: Session, job_id: str, *, owner: str | None = None) -> Job:
    """A new job that repeats a failed or cancelled one from the first step, with the same webhook.

    While an earlier retry has not ended, that one is returned. Raises JobNotFoundError, or IllegalTransitionError for any
    other job.
    """
    job = _lock_job(session, job_id, owner)
    if job.status not in (Status.FAILED, Status.CANCELLED):
        raise IllegalTransitionError(job_id, job.status, "retried: only what failed or was cancelled can be")
    unfinished = select(Job).where(Job.retried_from == job_id, Job.status.not_in(sorted(TERMINAL))).limit(1)
    if (earlier := session.scalars(unfinished).first()) is not None:
        return earlier
    new = create(
        session,
        spec=job.spec,
        owner=job.owner,
        metadata=job.user_metadata,
        priority=job.priority,
        max_duration=job.max_duration,
        exports=job.exports or (),
        retried_from=job_id,
        sweep_id=job.sweep_id,
        export_of=job.export_of,
        evaluation=job.evaluation,
        warnings=cast(list[RunWarning], job.warnings or []),
    )
    status_messages.copy_webhooks(session, job_id, new.id)
    return new


def delete(session: Session, job_id: str, *, owner: str | None = None) -> None:
    """Remove a job that has ended with everything that belongs to it, its exports and evaluations too, whose attempts end then.

    ``service.operations.deletion`` has deleted the large data before.

    Raises JobNotFoundError, or IllegalTransitionError while it has not ended.
    """
    require_deletable(session, job_id, owner=owner)
    lock_dependents(session, [job_id])
    session.execute(sql_delete(Job).where(Job.id == job_id))


def require_deletable(session: Session, job_id: str, *, owner: str | None = None) -> None:
    """Lock a job that is to be deleted. Raises as ``delete``."""
    job = _lock_job(session, job_id, owner)
    if job.status not in TERMINAL:
        raise IllegalTransitionError(job_id, job.status, "deleted before it is finished")


def _lock_job(session: Session, job_id: str, owner: str | None) -> Job:
    job = lock_row(session, Job.id == job_id, *([Job.owner == owner] if owner is not None else []))
    if job is None:
        raise JobNotFoundError(job_id)
    return job


def _lease_expired(session: Session, job_id: str) -> bool:
    """Whether the worker of a running job, whose row is locked, lost its lease."""
    expired = select(Job.id).where(Job.id == job_id, Job.status == Status.RUNNING, Job.lease_expires_at < now_sql())
    return session.scalars(expired).first() is not None


def _details(job: Job) -> dict[str, Any]:
    """Details of the status event: reason why the request is fulfilled here and not by a worker."""
    return {"reason": "requested"} | ({"forced": "worker_lost"} if job.status is Status.RUNNING else {})


def _record_request(session: Session, job_id: str, event: str, **values: Any) -> Job:
    job = append_event(session, [Job.id == job_id, Job.status == Status.RUNNING], event, {}, **values)
    if job is None:
        raise JobNotFoundError(job_id)
    return job


def _require_changed(changed: Job | None, job: Job, wanted: str) -> Job:
    if changed is None:
        raise IllegalTransitionError(job.id, job.status, wanted)
    return changed
