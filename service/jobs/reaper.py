"""Reaper of expired leases: requeues or fails jobs whose worker stopped renewing its lease.

The maintenance thread of one worker at a time calls it every few seconds (``service.jobs.turns``); any number may do so at once.
Never commits.
"""

from sqlalchemy import exists, select, text
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Event, Failure, Job
from service.db.models.job import MANY_DEVICES, QUEUED
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
    """Add one event ``waiting`` to each due job that no live worker could run, for want of devices or because it is of an earlier
    version; the ids of these jobs.

    Such a job is not refused when it is submitted, because a worker for it may be about to start.
    """
    most = heartbeats.most_able(session, within_seconds=worker_seen_seconds)
    if most is None:
        return []
    reported = exists().where(Event.job_id == Job.id, Event.type == "waiting")
    due = (Job.not_before <= now_sql(), ~reported)
    many = select(Job.id, requested_devices).where(text(MANY_DEVICES), *due, requested_devices > most.devices).limit(_BATCH)
    messages = {
        job_id: f"the job asks for {wanted} devices, and no live worker has more than {most.devices}; it waits for one that has"
        for job_id, wanted in session.execute(many)
    }
    later = select(Job.id).where(text(QUEUED), *due, Job.protocol > most.protocol).limit(_BATCH)
    for job_id in session.scalars(later):
        messages.setdefault(job_id, "the job needs a worker of a later version than those that are live; it waits for one")
    for job_id, message in messages.items():
        append_event(session, [Job.id == job_id, Job.status == Status.QUEUED, ~reported], "waiting", {"message": message})
    return list(messages)
