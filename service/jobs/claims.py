"""Claiming a queued job, and every write that a worker may make while it runs one.

Called by ``worker/`` and, for jobs whose lease expired, by ``service.jobs.reaper``; never commits. Every write takes a
``Fence`` and raises LeaseLostError once another attempt, or none, runs the job. A worker that catches LeaseLostError stops
its trainer and writes nothing more.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, exists, func, insert, literal_column, select
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Artifact, Event, Failure, Job, Metric, RunWarning
from service.db.paging import json_bytes
from service.errors import ArtifactNotFoundError
from service.jobs.fence import Fence
from service.jobs.transitions import add_event_row, transition, update_columns
from service.protocol import PROTOCOL
from service.states import Status

_LONGEST_DELAY_SECONDS = 3600.0
_MOST_WARNINGS = 20
_CLAIM_ORDER = (Job.priority.desc(), Job.created_at, Job.id)
_QUEUED = Job.status == literal_column(f"'{Status.QUEUED}'")  # in words, for the index of the claim
requested_devices = func.coalesce(Job.devices, Job.spec["devices"].as_integer(), 1)
"""SQL expression: how many devices a job asks for."""


@dataclass(frozen=True)
class ControlRequests:
    """Open requests of the user for a running job."""

    cancel: bool
    pause: bool


def due_jobs(devices: int, protocol: int) -> tuple[ColumnElement[bool], ...]:
    """Condition on ``Job``: queued jobs that a worker with ``devices`` devices, and of this protocol, could run now if all of
    its devices were free."""
    return _QUEUED, Job.not_before <= now_sql(), requested_devices <= devices, Job.protocol <= protocol


def count_startable(session: Session, *, devices: int, free_devices: int, slots: int, protocol: int = PROTOCOL) -> int:
    """How many successive calls of ``claim`` would succeed for this worker if no other worker claimed any meanwhile."""
    due = select(requested_devices).where(*due_jobs(devices, protocol))
    wanted = session.scalars(due.order_by(*_CLAIM_ORDER).limit(slots))
    return sum(1 for together in accumulate(wanted) if together <= free_devices)


def claim(
    session: Session, *, worker_id: str, lease_seconds: float, devices: int = 1, free_devices: int = 1, protocol: int = PROTOCOL
) -> Job | None:
    """Claim the first due job, highest priority first and oldest among equals; None if there is none.

    Only jobs for which the worker has ``devices`` enough, and whose ``protocol`` it knows, count. When the first of these needs
    more than are free now, no other is claimed in its place: it gets its turn once the worker's other jobs have ended, however
    many small ones wait.

    One UPDATE: it increments ``attempt``, which fences all that follows. Two workers never get the same job.
    """
    due = (
        select(Job.id)
        .where(*due_jobs(devices, protocol))
        .order_by(*_CLAIM_ORDER)
        .limit(1)
        .with_for_update(skip_locked=True)  # PostgreSQL: concurrent claims take different jobs and do not wait for each other
        .scalar_subquery()
    )
    return transition(
        session,
        Status.RUNNING,
        due,
        requested_devices <= free_devices,
        details={"worker": worker_id},
        attempt=Job.attempt + 1,
        worker_id=worker_id,
        lease_expires_at=now_sql(lease_seconds),
        progress_at=now_sql(),
        started_at=func.coalesce(Job.started_at, now_sql()),
        error=None,
    )


def queued_at(session: Session, job: Job) -> datetime | None:
    """When a job that was claimed in this transaction had been queued for the last time."""
    queued = (Event.job_id == job.id, Event.seq < job.event_seq, Event.type.in_(("created", "status")))
    return session.scalars(select(Event.created_at).where(*queued).order_by(Event.seq.desc()).limit(1)).one_or_none()


def renew_lease(session: Session, fence: Fence, *, lease_seconds: float) -> ControlRequests:
    """Renew the lease, even an expired one if no other worker has claimed the job since; the user's open requests."""
    requested = (Job.cancel_requested_at, Job.pause_requested_at)
    row = fence.require(update_columns(session, fence.where(), requested, lease_expires_at=now_sql(lease_seconds)))
    return ControlRequests(cancel=row.cancel_requested_at is not None, pause=row.pause_requested_at is not None)


def record_event(session: Session, fence: Fence, event: str, data: dict[str, Any]) -> int:
    """Append an event of type ``event``; its sequence number."""
    changes = {"event_seq": Job.event_seq + 1, "record_bytes": Job.record_bytes + json_bytes(data)}
    numbered = (Job.id, Job.attempt, Job.event_seq)
    row = fence.require(update_columns(session, fence.where(), numbered, **changes))
    add_event_row(session, row, event, data)
    return int(row.event_seq)


def record_metrics(session: Session, fence: Fence, *, step: int, values: dict[str, Any]) -> None:
    """Add metrics of one step to the job's history; ``set_progress`` keeps the latest on the job itself."""
    size = Job.record_bytes + json_bytes(values)
    fence.require(update_columns(session, fence.where(), (Job.id,), record_bytes=size))
    _add_metric_row(session, fence, step, values)


def record_step(session: Session, fence: Fence, *, step: int, total_steps: int, eta_seconds: float, values: dict[str, Any]) -> None:
    """Add the metrics of a training step to the history, and keep them and the progress on the job: one change of its row."""
    changes = {
        "record_bytes": Job.record_bytes + json_bytes(values),
        "step": step,
        "total_steps": total_steps,
        "eta_seconds": eta_seconds,
        "metrics": {**_latest_metrics(session, fence), **values},
    }
    fence.require(update_columns(session, fence.where(), (Job.id,), progress_at=now_sql(), **changes))
    _add_metric_row(session, fence, step, values)


def _add_metric_row(session: Session, fence: Fence, step: int, values: dict[str, Any]) -> None:
    session.execute(insert(Metric).values(job_id=fence.job_id, attempt=fence.attempt, step=step, values=values))


def _latest_metrics(session: Session, fence: Fence) -> dict[str, Any]:
    """Of the running attempt. Without a lock: only its event recorder changes them, which is one thread, and the fence of the write
    that follows refuses every other attempt. Raises LeaseLostError."""
    return fence.require(session.execute(select(Job.metrics).where(*fence.where())).scalar_one_or_none())


def set_phase(session: Session, fence: Fence, phase: str) -> None:
    """Set the phase of the attempt."""
    fence.require(update_columns(session, fence.where(), (Job.id,), phase=phase, progress_at=now_sql()))


def set_progress(
    session: Session,
    fence: Fence,
    *,
    step: int | None = None,
    total_steps: int | None = None,
    eta_seconds: float | None = None,
    metrics: dict[str, Any] | None = None,
    device: str | None = None,
    checkpoint_bytes: int | None = None,
) -> None:
    """Set the progress of the attempt. Values of None are left unchanged; ``metrics`` are merged into the latest ones."""
    given = {
        "step": step,
        "total_steps": total_steps,
        "eta_seconds": eta_seconds,
        "device": device,
        "checkpoint_bytes": checkpoint_bytes,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if metrics:
        values["metrics"] = {**_latest_metrics(session, fence), **metrics}
    fence.require(update_columns(session, fence.where(), (Job.id,), progress_at=now_sql(), **values))


def complete_spec(session: Session, fence: Fence, **values: Any) -> None:
    """Fill in fields of the spec that only the trainer could decide. What has a value keeps it."""
    given = {name: value for name, value in values.items() if value is not None}
    spec = fence.lock(session).spec if given else {}
    if missing := {name: value for name, value in given.items() if spec.get(name) is None}:
        fence.require(update_columns(session, fence.where(), (Job.id,), spec=spec | missing))


def add_warning(session: Session, fence: Fence, warning: RunWarning) -> None:
    """Keep a warning with the job, in place of one with the same code; the newest ``_MOST_WARNINGS`` stay."""
    known = fence.lock(session).warnings or []
    kept = [*(other for other in known if other["code"] != warning["code"]), dict(warning)][-_MOST_WARNINGS:]
    size = Job.record_bytes + json_bytes(*kept) - json_bytes(*known)
    fence.require(update_columns(session, fence.where(), (Job.id,), warnings=kept, record_bytes=size))


def succeed(session: Session, fence: Fence, *, result: dict[str, Any], mask_artifact_id: int | None) -> Job:
    """Finish the job as succeeded.

    ``mask_artifact_id`` is None for a job that exports, and only for that. Raises ArtifactNotFoundError unless the mask is a
    complete artifact of this job.
    """
    if mask_artifact_id is None:
        stored: ColumnElement[bool] = Job.export_of.is_not(None)
    else:
        stored = exists().where(Artifact.id == mask_artifact_id, Artifact.job_id == fence.job_id, Artifact.complete)
    job = transition(
        session, Status.SUCCEEDED, fence.job_id, *fence.where(), stored, result=result, mask_artifact_id=mask_artifact_id
    )
    if job is None:
        fence.lock(session)
        raise ArtifactNotFoundError(f"Artifact {mask_artifact_id} is not a complete artifact of job {fence.job_id}.")
    return job


def fail(session: Session, fence: Fence, *, error: Failure) -> Job:
    """Finish the job as failed, for a reason that would make every attempt fail."""
    return fence.require(transition(session, Status.FAILED, fence.job_id, *fence.where(), details={"error": error}, error=error))


def cancel(session: Session, fence: Fence) -> Job:
    """Finish the job as cancelled, because its user requested that."""
    return fence.require(transition(session, Status.CANCELLED, fence.job_id, *fence.where(), details={"reason": "requested"}))


def pause(session: Session, fence: Fence) -> Job:
    """Pause the job until its user resumes it; no attempt is spent. A request to cancel takes precedence.

    A resume that was accepted while the trainer stopped has withdrawn the request: the job then returns to the queue.
    """
    job = fence.lock(session)
    return release(session, job, reason="requested" if job.pause_requested_at is not None else "resumed")


def requeue(session: Session, fence: Fence, *, reason: str) -> Job:
    """Return the job to the queue, due at once; no attempt is spent. The user's requests take precedence: see ``release``."""
    return release(session, fence.lock(session), reason=reason)


def retry_or_fail(session: Session, fence: Fence, *, error: Failure, retry_delay_seconds: float, max_attempts: int) -> Job:
    """Spend an attempt: queue the job again after a delay that doubles each time, or fail it when none is left.

    The user's requests take precedence: see ``release``.
    """
    return record_failed_attempt(
        session, fence.lock(session), error=error, retry_delay_seconds=retry_delay_seconds, max_attempts=max_attempts
    )


def record_failed_attempt(
    session: Session, job: Job, *, error: Failure, retry_delay_seconds: float, max_attempts: int, **values: Any
) -> Job:
    """``retry_or_fail`` for a running job whose row the caller has locked; ``values`` are further columns."""
    spent, fence = job.attempts_spent + 1, Fence.from_row(job)
    if spent >= max_attempts and job.cancel_requested_at is None:
        failed = transition(
            session, Status.FAILED, job.id, *fence.where(), details={"error": error}, error=error, attempts_spent=spent, **values
        )
        return fence.require(failed)
    delay = min(retry_delay_seconds * 2 ** (spent - 1), _LONGEST_DELAY_SECONDS)
    return release(session, job, reason=error["code"], delay_seconds=delay, error=error, attempts_spent=spent, **values)


def release(
    session: Session, job: Job, *, reason: str, delay_seconds: float = 0, error: Failure | None = None, **values: Any
) -> Job:
    """End the attempt of a running job whose row the caller has locked.

    The job is cancelled or paused where its user requests that now; else it returns to the queue.
    """
    details: dict[str, Any] = {"reason": reason} | ({"error": error} if error else {})
    if job.cancel_requested_at is not None:
        to, details, error = Status.CANCELLED, {"reason": "requested"}, None
    elif job.pause_requested_at is not None:
        to = Status.PAUSED
    else:
        to, details = Status.QUEUED, {**details, "delay_seconds": delay_seconds}
    fence = Fence.from_row(job)
    released = transition(
        session, to, job.id, *fence.where(), details=details, error=error, not_before=now_sql(delay_seconds), **values
    )
    return fence.require(released)
