"""Retention: deletes jobs that ended long ago, and before them their artifacts.

Called by ``worker.maintenance.garbage_collector``; ages follow the database's clock. Deletes in small transactions, so that
gigabytes of chunks do not block other writers. ``service.artifacts.garbage`` deletes the objects whose rows are gone.
"""

from collections.abc import Callable

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Artifact, Job
from service.jobs.transitions import lock_dependents
from service.settings import Settings

_DAY = 86_400.0
_BATCH = 10
"""Rows deleted per transaction; each may have hundreds of chunks."""


def expire(database: Database, settings: Settings, should_stop: Callable[[], bool]) -> tuple[int, int]:
    """Delete what is older than the settings allow: how many jobs, and how many artifacts of other jobs.

    ``should_stop`` is called before each transaction, and ends it when true.
    """
    jobs = _in_batches(database, settings.job_retention_days, _expire_jobs, should_stop)
    return jobs, _in_batches(database, settings.artifact_retention_days, _expire_artifacts, should_stop)


def _in_batches(
    database: Database,
    days: float | None,
    expire_batch: Callable[[Session, float], int],
    should_stop: Callable[[], bool],
) -> int:
    """How many rows of that age were deleted, a transaction per batch; none where ``days`` is None."""
    total, deleted = 0, _BATCH
    while days is not None and deleted == _BATCH and not should_stop():
        with database.write() as session:
            deleted = expire_batch(session, days)
        total += deleted
    return total


def _expire_jobs(session: Session, days: float) -> int:
    """Only jobs that have ended have a ``finished_at``."""
    old = (
        select(Job.id)
        .where(Job.finished_at < now_sql(-days * _DAY))
        .order_by(Job.finished_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, key_share=True)  # skip rows that another worker is deleting
    )
    ids = session.scalars(old).all()
    lock_dependents(session, ids)
    session.execute(delete(Job).where(Job.id.in_(ids)))
    return len(ids)


def _expire_artifacts(session: Session, days: float) -> int:
    """All but masks: a job that succeeded keeps its mask as long as it exists."""
    old = (
        select(Artifact.id)
        .join(Job, Job.id == Artifact.job_id)
        .where(
            Job.finished_at < now_sql(-days * _DAY),
            or_(Job.mask_artifact_id.is_(None), Job.mask_artifact_id != Artifact.id),
        )
        .limit(_BATCH)
        .with_for_update(skip_locked=True, of=Artifact)
    )
    ids = session.scalars(old).all()
    session.execute(delete(Artifact).where(Artifact.id.in_(ids)))
    return len(ids)
