"""Retention: cancels jobs that are paused for long, deletes jobs that ended long ago, and before them their artifacts.

Called by ``worker.maintenance.garbage_collector``; ages follow the database's clock. Deletes in small transactions, so that
gigabytes of chunks do not block other writers. ``service.artifacts.garbage`` deletes the objects whose rows were deleted.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Artifact, Job
from service.jobs.transitions import lock_dependents, transition
from service.operations.deletion import delete_chunks, hide_artifacts
from service.settings import Settings
from service.states import Status

_DAY = 86_400.0
_BATCH = 10
"""Rows deleted per transaction, once their chunks are."""


def expire(database: Database, settings: Settings, should_stop: Callable[[], bool]) -> tuple[int, int]:
    """Delete what is older than the settings allow: how many jobs, and how many artifacts of other jobs.

    ``should_stop`` is called before each transaction, and ends it when true.
    """
    jobs = _in_batches(database, settings.job_retention_days, _old_jobs, _delete_jobs, should_stop)
    return jobs, _in_batches(database, settings.artifact_retention_days, _old_artifacts, _delete_artifacts, should_stop)


def cancel_paused(database: Database, days: float, should_stop: Callable[[], bool]) -> int:
    """Cancel jobs that have been paused for ``days``; how many. Their checkpoints are then removed as those of ended jobs are."""
    total, chosen = 0, _BATCH
    forgotten = (Job.status == Status.PAUSED, Job.updated_at < now_sql(-days * _DAY))  # nothing changes a paused job
    oldest = select(Job.id).where(*forgotten).limit(_BATCH).with_for_update(skip_locked=True, key_share=True)
    details = {"reason": "paused_too_long", "paused_days": days}
    while chosen == _BATCH and not should_stop():
        with database.write() as session:
            ids = session.scalars(oldest).all()
            for job_id in ids:
                transition(session, Status.CANCELLED, job_id, *forgotten, details=details)
        chosen = len(ids)
        total += chosen
    return total


def _in_batches(
    database: Database,
    days: float | None,
    choose: Callable[[Session, float], Sequence[int | str]],
    remove: Callable[[Database, Sequence[Any], Callable[[], bool]], None],
    should_stop: Callable[[], bool],
) -> int:
    """How many rows of that age were deleted, some at a time; none where ``days`` is None."""
    total, chosen = 0, _BATCH
    while days is not None and chosen == _BATCH and not should_stop():
        with database.write() as session:
            ids = choose(session, days)
        remove(database, ids, should_stop)
        chosen = len(ids)
        total += chosen
    return total


def _old_jobs(session: Session, days: float) -> Sequence[str]:
    """Only jobs that have ended have a ``finished_at``."""
    old = (
        select(Job.id)
        .where(Job.finished_at < now_sql(-days * _DAY))
        .order_by(Job.finished_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, key_share=True)  # skip rows that another worker is deleting
    )
    return session.scalars(old).all()


def _delete_jobs(database: Database, ids: Sequence[str], should_stop: Callable[[], bool]) -> None:
    with database.write() as session:
        hidden = hide_artifacts(session, ids)
    delete_chunks(database, hidden, should_stop)
    with database.write() as session:
        still = select(Job.id).where(Job.id.in_(ids)).with_for_update(skip_locked=True, key_share=True)
        locked = session.scalars(still).all()
        lock_dependents(session, locked)
        session.execute(delete(Job).where(Job.id.in_(locked)))


def _old_artifacts(session: Session, days: float) -> Sequence[int]:
    """All but masks: a job that succeeded keeps its mask as long as it exists."""
    old = (
        select(Artifact.id)
        .join(Job, Job.id == Artifact.job_id)
        .where(Job.finished_at < now_sql(-days * _DAY), or_(Job.mask_artifact_id.is_(None), Job.mask_artifact_id != Artifact.id))
        .limit(_BATCH)
        .with_for_update(skip_locked=True, of=Artifact)
    )
    ids = session.scalars(old).all()
    session.execute(update(Artifact).where(Artifact.id.in_(ids)).values(complete=False))
    return ids


def _delete_artifacts(database: Database, ids: Sequence[int], should_stop: Callable[[], bool]) -> None:
    delete_chunks(database, ids, should_stop)
    with database.write() as session:
        session.execute(delete(Artifact).where(Artifact.id.in_(ids)))
