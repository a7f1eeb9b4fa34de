"""Deletion of a job or a sweep with all its files, in short transactions.

Called by the API, and for its batches by ``service.operations.retention``. Gigabytes of chunks deleted in one transaction would
hold SQLite's only write lock for longer than a lease. So the artifacts are hidden first, their chunks deleted a few megabytes at
a time, and the rows last; a deletion that was interrupted leaves a job without files, which can be deleted again.
"""

import contextlib
import time
from collections.abc import Callable, Sequence

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from service.db.engine import Database
from service.db.models import Artifact, ArtifactChunk, Job
from service.errors import JobNotFoundError
from service.jobs import commands
from service.sweeps import sweeps

_BATCH_BYTES = 4 * 1024 * 1024
"""Bytes of chunks deleted per transaction."""


def delete_job(database: Database, job_id: str, *, owner: str | None = None) -> None:
    """Delete a job that has ended, with its exports and evaluations. Raises as ``service.jobs.commands.delete``."""
    with database.write() as session:
        commands.require_deletable(session, job_id, owner=owner)
        hidden = hide_artifacts(session, [job_id])
    delete_chunks(database, hidden)
    with database.write() as session:
        commands.delete(session, job_id, owner=owner)


def delete_sweep(database: Database, sweep_id: str, *, owner: str | None = None) -> None:
    """Delete a sweep that has ended, with its jobs. Raises as ``service.sweeps.sweeps.delete``."""
    with database.write() as session:
        jobs = sweeps.require_deletable(session, sweep_id, owner=owner)
        hidden = hide_artifacts(session, [job.id for job in jobs])
    delete_chunks(database, hidden)
    for job_id in [job.id for job in jobs]:  # each with thousands of events and metrics
        with contextlib.suppress(JobNotFoundError), database.write() as session:
            commands.delete(session, job_id)
    with database.write() as session:
        sweeps.delete(session, sweep_id, owner=owner)


def hide_artifacts(session: Session, job_ids: Sequence[str]) -> list[int]:
    """Hide the artifacts of jobs whose rows are locked, and of their exports and evaluations; the ids of all that are hidden."""
    exports = select(Job.id).where(Job.export_of.in_(job_ids))
    of_jobs = or_(Artifact.job_id.in_(job_ids), Artifact.job_id.in_(exports))
    session.execute(
        update(Artifact).where(of_jobs, Artifact.complete).values(complete=False), execution_options={"synchronize_session": False}
    )
    return list(session.scalars(select(Artifact.id).where(of_jobs)))


def delete_chunks(database: Database, artifact_ids: Sequence[int], should_stop: Callable[[], bool] = lambda: False) -> None:
    """Delete the chunks of hidden artifacts; other writers can proceed between two transactions."""
    for artifact_id in artifact_ids:
        with database.read() as session:
            chunk_bytes = session.scalar(select(Artifact.chunk_bytes).where(Artifact.id == artifact_id))
        count = max(1, _BATCH_BYTES // (chunk_bytes or _BATCH_BYTES))
        deleted = count
        while deleted and not should_stop():
            began = time.monotonic()
            of_artifact = ArtifactChunk.artifact_id == artifact_id
            numbers = select(ArtifactChunk.number).where(of_artifact).order_by(ArtifactChunk.number).limit(count)
            with database.write() as session:
                some = session.scalars(numbers).all()
                session.execute(delete(ArtifactChunk).where(of_artifact, ArtifactChunk.number.in_(some)))
            deleted = len(some)
            time.sleep((time.monotonic() - began) * bool(deleted))
