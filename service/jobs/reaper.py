"""Jobs whose worker fell silent come back; every worker runs this every few seconds, and any number may at once."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.models import Event, Failure, Job
from service.jobs import heartbeats
from service.jobs.claims import due_for_devices, record_failed_attempt, requested_devices
from service.jobs.transitions import append_event
from service.states import Status

_BATCH = 100  # rows locked by one sweep; the next comes in seconds
_ANY = 1 << 30  # devices

WORKER_LOST = Failure(
    code="worker_lost",
    message="The worker running this job stopped answering. If it happens at the same step each time, the job may need "
    "more memory than the worker has.",
    param=None,
    kind="system",
    retryable=True,
)


def reap_expired_leases(session: Session, *, max_attempts: int, retry_delay_seconds: float) -> list[str]:
    """Take every job whose lease ran out from its worker; their ids.

    Each spends an attempt and is queued again after a back-off, or fails as ``worker_lost`` when none is left; a wish of
    its user (cancel, pause) is fulfilled instead.
    """
    lost = (
        select(Job)
        .where(Job.status == Status.RUNNING, Job.lease_expires_at < now_sql())
        .order_by(Job.lease_expires_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)  # what another rescuer or a heartbeat holds is in good hands
    )
    jobs = session.scalars(lost, execution_options={"populate_existing": True}).all()
    for job in jobs:
        record_failed_attempt(
            session, job, error=WORKER_LOST, retry_delay_seconds=retry_delay_seconds, max_attempts=max_attempts,
            lease_expiries=job.lease_expiries + 1,
        )  # fmt: skip
    return [job.id for job in jobs]


def report_unrunnable_jobs(session: Session, *, worker_seen_seconds: float) -> list[str]:
    """Say, once for each, which due jobs ask for more devices than any live worker has; their ids.

    They wait for such a worker: it may be about to be started, so they were not refused when they were submitted.
    """
    most = max(
        (worker.devices for worker in heartbeats.live_workers(session, within_seconds=worker_seen_seconds)), default=0
    )
    if not most:
        return []
    told = exists().where(Event.job_id == Job.id, Event.type == "waiting")
    waiting = (
        select(Job.id, requested_devices).where(*due_for_devices(_ANY), requested_devices > most, ~told).limit(_BATCH)
    )
    rows = session.execute(waiting).all()
    for job_id, wanted in rows:
        message = (
            f"the job asks for {wanted} devices, and no live worker has more than {most}; it waits for one that has"
        )
        append_event(session, [Job.id == job_id, Job.status == Status.QUEUED, ~told], "waiting", {"message": message})
    return [job_id for job_id, _ in rows]
