"""Export jobs: jobs that export a mask which another job has made.

Called by the API inside its transactions; never commits. An export job is queued, run, requeued and retried like any other. It
names the job whose mask it exports, and is deleted with that job.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from service.db.models import Artifact, Job
from service.errors import JobNotFoundError
from service.jobs import commands, status_messages
from service.jobs.transitions import lock_row
from service.states import TERMINAL


def request_export(
    session: Session, job_id: str, artifact_names: Mapping[str, str], *, priority: int = 0, max_duration: float | None = None
) -> Job:
    """The job that has, or will make, the exports of ``job_id``, which has succeeded.

    ``artifact_names`` gives the artifact of each format. A job that has made all of them and still has the files, or is about
    to make them, is returned to repeated requests; else a new one is queued. Raises JobNotFoundError.
    """
    pruned = lock_row(session, Job.id == job_id)  # the second of two concurrent requests finds the job of the first
    if pruned is None:
        raise JobNotFoundError(job_id)
    existing = _find_existing(session, pruned, artifact_names)
    if existing is not None:
        return existing
    export = commands.create(
        session,
        spec=pruned.spec | {"devices": 1},
        owner=pruned.owner,
        metadata=pruned.user_metadata,
        priority=priority,
        max_duration=max_duration,
        exports=list(artifact_names),
        export_of=pruned.id,
    )
    status_messages.copy_webhooks(session, pruned.id, export.id)
    return export


def _find_existing(session: Session, pruned: Job, artifact_names: Mapping[str, str]) -> Job | None:
    """The newest job that has the files, or is about to make them."""
    either = or_(Job.id == pruned.id, and_(Job.export_of == pruned.id, Job.evaluation.is_(None)))
    jobs = session.scalars(select(Job).where(either).order_by(Job.created_at.desc(), Job.id.desc())).all()
    stored = _stored_names(session, [job.id for job in jobs])
    for job in jobs:
        unfinished = job.status not in TERMINAL and job.cancel_requested_at is None
        if unfinished and artifact_names.keys() <= set(job.exports or ()):
            return job
        if set(artifact_names.values()) <= stored.get(job.id, set()):
            return job
    return None


def _stored_names(session: Session, job_ids: Sequence[str]) -> dict[str, set[str]]:
    """Names of the complete artifacts, by job."""
    statement = select(Artifact.job_id, Artifact.name).where(Artifact.job_id.in_(job_ids), Artifact.complete)
    found: dict[str, set[str]] = {}
    for job_id, name in session.execute(statement):
        found.setdefault(job_id, set()).add(name)
    return found
