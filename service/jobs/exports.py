"""Exports of a mask that is there already, made by jobs of their own. Called by the API, inside its transactions; never commits.

Such a job waits, runs, is lost and comes back like any other; it names the job whose mask it exports, and goes with it when
that is deleted.
"""

from collections.abc import Mapping

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.artifacts import store
from service.db.models import Job
from service.errors import JobNotFoundError
from service.jobs import commands
from service.jobs.transitions import lock_row
from service.states import TERMINAL
from service.webhooks import subscriptions


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
    subscriptions.copy(session, pruned.id, export.id)
    return export


def _there(session: Session, pruned: Job, files: Mapping[str, str]) -> Job | None:
    """The newest job that has the files, or is about to make them."""
    either = or_(Job.id == pruned.id, Job.export_of == pruned.id)
    jobs = session.scalars(select(Job).where(either).order_by(Job.created_at.desc(), Job.id.desc())).all()
    made = store.list_for_jobs(session, [job.id for job in jobs])
    for job in jobs:
        under_way = job.status not in TERMINAL and job.cancel_requested_at is None
        if under_way and files.keys() <= set(job.exports or ()):
            return job
        if set(files.values()) <= {artifact.name for artifact in made.get(job.id, ())}:
            return job
    return None
