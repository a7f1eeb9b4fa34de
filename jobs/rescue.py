"""Jobs whose worker fell silent come back; every worker runs this every few seconds, and any number may at once."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.claims import spend
from jobs.clock import now_sql
from jobs.models import Failure, Job
from jobs.states import Status

_BATCH = 100  # rows locked by one sweep; the next comes in seconds

WORKER_LOST = Failure(
    code="worker_lost",
    message="The worker running this job stopped answering. If it happens at the same step each time, the job may need "
    "more memory than the worker has.",
    param=None,
    kind="system",
    retryable=True,
)


def rescue(session: Session, *, max_attempts: int, retry_delay_seconds: float) -> list[str]:
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
        spend(
            session, job, error=WORKER_LOST, retry_delay_seconds=retry_delay_seconds, max_attempts=max_attempts,
            lease_expiries=job.lease_expiries + 1,
        )  # fmt: skip
    return [job.id for job in jobs]


def queued_due(session: Session) -> int:
    """How many jobs could be claimed right now: more than none with idle workers means that a wake-up was lost."""
    due = select(func.count()).select_from(Job).where(Job.status == Status.QUEUED, Job.not_before <= now_sql())
    return session.execute(due).scalar_one()
