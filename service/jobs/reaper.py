"""Reaper of expired leases: requeues or fails jobs whose worker stopped renewing its lease.

The maintenance thread of one worker at a time calls it every few seconds (``service.jobs.turns``); any number may do so at once.
Never commits.
"""

from sqlalchemy import exists, select, text
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Event, Failure, Job
from service.db.models.job import MANY_DEVICES
from service.jobs import heartbeats
from service.jobs.claims import record_failed_attempt, requested_devices
from service.jobs.transitions import append_event
from service.states import Status

_BATCH = 100  # rows locked by one call; the next comes within seconds

WORKER_LOST = Failure(
    code="worker_lost",
    message="The worker running this job stopped answering. If it happens at the same step each time, the job may need "
    "more memory than the worker has.",
    param=None,
    kind="system",
    retryable=True,
)


def reap_expired_leases(session: Session, *, max_attempts: int, retry_delay_seconds: float) -> list[str]:
    """End the attempt of every job whose lease has expired; the ids of these jobs.

    Each spends an attempt and is queued again after a back-off, or fails as ``worker_lost`` when none is left. Where the user
    requested to cancel or pause the job, that is done instead.
    """
    expired = (
        select(Job)
        .where(Job.status == Status.RUNNING, Job.lease_expires_at < now_sql())
        .order_by(Job.lease_expires_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)  # skip rows locked by another reaper or by a heartbeat
    )
    jobs = session.scalars(expired, execution_options={"populate_existing": True}).all()
    for job in jobs:
        record_failed_attempt(
            session,
            job,
            error=WORKER_LOST,
            retry_delay_seconds=retry_delay_seconds,
            max_attempts=max_attempts,
            lease_expiries=job.lease_expiries + 1,
        )
    return [job.id for job in jobs]


def report_unrunnable_jobs(session: Session, *, worker_seen_seconds: float) -> list[str]:
    """Add one event ``waiting`` to each due job that requests more devices than any live worker has; the ids of these jobs.

    Such a job is not refused when it is submitted, because a worker with enough devices may be about to start.
    """
    most = heartbeats.most_devices(session, within_seconds=worker_seen_seconds)
    if most is None:
        return []
    reported = exists().where(Event.job_id == Job.id, Event.type == "waiting")
    waiting = (
        select(Job.id, requested_devices)
        .where(text(MANY_DEVICES), Job.not_before <= now_sql(), requested_devices > most, ~reported)
        .limit(_BATCH)
    )
    rows = session.execute(waiting).all()
    for job_id, wanted in rows:
        message = f"the job asks for {wanted} devices, and no live worker has more than {most}; it waits for one that has"
        append_event(session, [Job.id == job_id, Job.status == Status.QUEUED, ~reported], "waiting", {"message": message})
    return [job_id for job_id, _ in rows]
