"""What is too old goes: finished jobs, and before them their files.

Called by ``worker.maintenance.garbage_collector``, on the database's clock.

One small transaction at a time, so that deleting gigabytes of chunks holds nobody up. Objects that lose their row are
removed by ``service.artifacts.garbage``.
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
    """Delete everything that is older than the settings allow: how many jobs, and how many artifacts of others.

    ``should_stop`` is asked before each transaction, and ends it when true.
    """
    jobs = artifacts = 0
    for days, act in ((settings.job_retention_days, _jobs), (settings.artifact_retention_days, _artifacts)):
        deleted = _BATCH if days is not None else 0
        while days is not None and deleted == _BATCH and not should_stop():
            with database.write() as session:
                deleted = act(session, days)
            if act is _jobs:
                jobs += deleted
            else:
                artifacts += deleted
    return jobs, artifacts


def _jobs(session: Session, days: float) -> int:
    """Only finished jobs have a ``finished_at``."""
    old = (
        select(Job.id)
        .where(Job.finished_at < now_sql(-days * _DAY))
        .order_by(Job.finished_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, key_share=True)  # another worker is deleting these
    )
    ids = session.scalars(old).all()
    lock_dependents(session, ids)
    session.execute(delete(Job).where(Job.id.in_(ids)))
    return len(ids)


def _artifacts(session: Session, days: float) -> int:
    """All but masks: a job that succeeded has one as long as it exists."""
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
