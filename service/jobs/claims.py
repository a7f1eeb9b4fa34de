"""How a worker takes a job and everything it may write while it runs. Called by ``worker/`` only; never commits.

Every function but ``claim`` is fenced: it writes only while attempt ``attempt`` runs the job, and raises LeaseLostError
otherwise. Whoever catches LeaseLostError stops its trainer and writes nothing more.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, exists, func, insert, select
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Artifact, Failure, Job, Metric
from service.errors import ArtifactNotFoundError, LeaseLostError
from service.jobs.due import claim_order, due_for_devices, requested_devices
from service.jobs.transitions import append_event, lock_row, running, transition, update_guarded
from service.states import Status

_LONGEST_DELAY_SECONDS = 3600.0


@dataclass(frozen=True)
class ControlRequests:
    """What the user asked of a running job."""

    cancel: bool
    pause: bool


def claim(
    session: Session, *, worker_id: str, lease_seconds: float, devices: int = 1, free_devices: int = 1
) -> Job | None:
    """Take the best job that is due, highest priority first and oldest among equals; None if there is none.

    Only jobs for which the worker has ``devices`` enough count. When the best of these needs more than are free now, no
    other is taken in its place: it gets its turn once the worker's other jobs have ended, however many small ones wait.

    One UPDATE: its attempt goes up by one and is the fence of all that follows. Two workers never get the same job.
    """
    due = (
        select(Job.id)
        .where(*due_for_devices(devices))
        .order_by(*claim_order)
        .limit(1)
        .with_for_update(skip_locked=True)  # PostgreSQL: two claimers take two jobs, none waits for the other
        .scalar_subquery()
    )
    return transition(
        session, Status.RUNNING, due, requested_devices <= free_devices, details={"worker": worker_id},
        attempt=Job.attempt + 1, worker_id=worker_id, lease_expires_at=now_sql(lease_seconds), progress_at=now_sql(),
        started_at=func.coalesce(Job.started_at, now_sql()), error=None,
    )  # fmt: skip


def renew_lease(session: Session, job_id: str, attempt: int, *, lease_seconds: float) -> ControlRequests:
    """Renew the lease, even one that ran out if nobody took the job since, and learn what the user wants."""
    job = _fenced(
        update_guarded(session, running(job_id, attempt), lease_expires_at=now_sql(lease_seconds)), job_id, attempt
    )
    return ControlRequests(cancel=job.cancel_requested_at is not None, pause=job.pause_requested_at is not None)


def record_event(session: Session, job_id: str, attempt: int, event: str, data: dict[str, Any]) -> int:
    """Add an event of type ``event``; its number in the job."""
    return _fenced(append_event(session, running(job_id, attempt), event, data), job_id, attempt).event_seq


def record_metrics(session: Session, job_id: str, attempt: int, *, step: int, values: dict[str, Any]) -> None:
    """Add the numbers of one step to the job's history; ``set_progress`` keeps the latest on the job itself."""
    _fenced(lock_row(session, *running(job_id, attempt)), job_id, attempt)
    session.execute(insert(Metric).values(job_id=job_id, attempt=attempt, step=step, values=values))


def set_phase(session: Session, job_id: str, attempt: int, phase: str) -> None:
    """Say what the run is doing."""
    _fenced(update_guarded(session, running(job_id, attempt), phase=phase, progress_at=now_sql()), job_id, attempt)


def set_progress(
    session: Session,
    job_id: str,
    attempt: int,
    *,
    step: int | None = None,
    total_steps: int | None = None,
    eta_seconds: float | None = None,
    metrics: dict[str, Any] | None = None,
    device: str | None = None,
) -> None:
    """Say how far the run is. What is None stays as it was; ``metrics`` are merged into the latest ones."""
    given = {"step": step, "total_steps": total_steps, "eta_seconds": eta_seconds, "device": device}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if metrics:
        job = _fenced(lock_row(session, *running(job_id, attempt)), job_id, attempt)
        values["metrics"] = {**job.metrics, **metrics}
    _fenced(update_guarded(session, running(job_id, attempt), progress_at=now_sql(), **values), job_id, attempt)


def succeed(
    session: Session, job_id: str, attempt: int, *, result: dict[str, Any], mask_artifact_id: int | None
) -> Job:
    """End the job well. Raises ArtifactNotFoundError unless the mask is a complete artifact of this job.

    None for a job that exports, and only for that.
    """
    if mask_artifact_id is None:
        stored: ColumnElement[bool] = Job.export_of.is_not(None)
    else:
        stored = exists().where(Artifact.id == mask_artifact_id, Artifact.job_id == job_id, Artifact.complete)
    fence = running(job_id, attempt)
    job = transition(
        session, Status.SUCCEEDED, job_id, *fence, stored, result=result, mask_artifact_id=mask_artifact_id
    )  # fmt: skip
    if job is None:
        _fenced(lock_row(session, *fence), job_id, attempt)
        raise ArtifactNotFoundError(f"Artifact {mask_artifact_id} is not a complete artifact of job {job_id}.")
    return job


def fail(session: Session, job_id: str, attempt: int, *, error: Failure) -> Job:
    """End the job for a reason that another run would meet again."""
    return _fenced(
        transition(session, Status.FAILED, job_id, *running(job_id, attempt), details={"error": error}, error=error),
        job_id, attempt,
    )  # fmt: skip


def cancel(session: Session, job_id: str, attempt: int) -> Job:
    """End the job because its user asked for it."""
    return _fenced(
        transition(session, Status.CANCELLED, job_id, *running(job_id, attempt), details={"reason": "requested"}),
        job_id, attempt,
    )  # fmt: skip


def pause(session: Session, job_id: str, attempt: int) -> Job:
    """Lay the job aside until its user resumes it; no attempt is spent. A wish to cancel goes first."""
    job = _fenced(lock_row(session, *running(job_id, attempt)), job_id, attempt)
    return release(session, job, reason="requested", pause=True)


def requeue(session: Session, job_id: str, attempt: int, *, reason: str) -> Job:
    """Return the job to the queue, due at once; no attempt is spent. Open wishes go first: see ``status`` of what returns."""
    job = _fenced(lock_row(session, *running(job_id, attempt)), job_id, attempt)
    return release(session, job, reason=reason)


def retry_or_fail(
    session: Session, job_id: str, attempt: int, *, error: Failure, retry_delay_seconds: float, max_attempts: int
) -> Job:
    """Spend an attempt: queue the job again after a delay that doubles each time, or fail it when none is left.

    Open wishes go first: see ``status`` of what returns.
    """
    job = _fenced(lock_row(session, *running(job_id, attempt)), job_id, attempt)
    return record_failed_attempt(
        session, job, error=error, retry_delay_seconds=retry_delay_seconds, max_attempts=max_attempts
    )


def record_failed_attempt(
    session: Session, job: Job, *, error: Failure, retry_delay_seconds: float, max_attempts: int, **values: Any
) -> Job:
    """``retry_or_fail`` for a running job that the caller holds locked; the rescuer's way as well."""
    spent = job.attempts_spent + 1
    if spent >= max_attempts and job.cancel_requested_at is None:
        failed = transition(
            session, Status.FAILED, job.id, *running(job.id, job.attempt),
            details={"error": error}, error=error, attempts_spent=spent, **values,
        )  # fmt: skip
        return _fenced(failed, job.id, job.attempt)
    delay = min(retry_delay_seconds * 2 ** (spent - 1), _LONGEST_DELAY_SECONDS)
    return release(session, job, reason=error["code"], delay_seconds=delay, error=error, attempts_spent=spent, **values)


def release(
    session: Session,
    job: Job,
    *,
    reason: str,
    delay_seconds: float = 0,
    pause: bool = False,
    error: Failure | None = None,
    **values: Any,
) -> Job:
    """Take a locked running job out of its worker's hands: to where its user wants it, else back to the queue."""
    about: dict[str, Any] = {"reason": reason} | ({"error": error} if error else {})
    if job.cancel_requested_at is not None:
        to, about, error = Status.CANCELLED, {"reason": "requested"}, None
    elif pause or job.pause_requested_at is not None:
        to = Status.PAUSED
    else:
        to, about = Status.QUEUED, {**about, "delay_seconds": delay_seconds}
    fence = running(job.id, job.attempt)
    moved = transition(
        session, to, job.id, *fence, details=about, error=error, not_before=now_sql(delay_seconds), **values
    )
    return _fenced(moved, job.id, job.attempt)


def _fenced(job: Job | None, job_id: str, attempt: int) -> Job:
    if job is None:
        raise LeaseLostError(job_id, attempt)
    return job
