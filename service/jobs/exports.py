"""Exports of a mask that is there already, made by jobs of their own. Called by the API, inside its transactions; never commits.

Such a job waits, runs, is lost and comes back like any other; it names the job whose mask it exports, and goes with it when
that is deleted.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.db.models import Artifact, Job
from service.errors import JobNotFoundError
from service.jobs import commands, status_messages
from service.jobs.transitions import lock_row
from service.states import TERMINAL


def request_export(
    session: Session,
    job_id: str,
    artifact_names: Mapping[str, str],
    *,
    priority: int = 0,
    max_duration: float | None = None,
) -> Job:
    """The job from which the exports of ``job_id``, which has succeeded, are to be had.

    ``artifact_names`` are the formats, each with the artifact that it becomes. One that has made all of them, and still has the
    files, or is going to, is there for whoever asks again; else a new one is queued. Raises JobNotFoundError.
    """
    pruned = lock_row(session, Job.id == job_id)  # of two that ask at once the second finds what the first has made
    if pruned is None:
        raise JobNotFoundError(job_id)
    there = _there(session, pruned, artifact_names)
    if there is not None:
        return there
    export = commands.create(
        session, spec=pruned.spec | {"devices": 1}, owner=pruned.owner, metadata=pruned.user_metadata, priority=priority,
        max_duration=max_duration, exports=list(artifact_names), export_of=pruned.id,
    )  # fmt: skip
    status_messages.copy_webhooks(session, pruned.id, export.id)
    return export


def _there(session: Session, pruned: Job, files: Mapping[str, str]) -> Job | None:
    """The newest job that has the files, or is about to make them."""
    either = or_(Job.id == pruned.id, Job.export_of == pruned.id)
    jobs = session.scalars(select(Job).where(either).order_by(Job.created_at.desc(), Job.id.desc())).all()
    made = _artifact_names(session, [job.id for job in jobs])
    for job in jobs:
        under_way = job.status not in TERMINAL and job.cancel_requested_at is None
        if under_way and files.keys() <= set(job.exports or ()):
            return job
        if set(files.values()) <= made.get(job.id, set()):
            return job
    return None


def _artifact_names(session: Session, job_ids: Sequence[str]) -> dict[str, set[str]]:
    """Names of the complete artifacts, by job."""
    statement = select(Artifact.job_id, Artifact.name).where(Artifact.job_id.in_(job_ids), Artifact.complete)
    found: dict[str, set[str]] = {}
    for job_id, name in session.execute(statement):
        found.setdefault(job_id, set()).add(name)
    return found
