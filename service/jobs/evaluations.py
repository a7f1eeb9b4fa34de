"""Evaluation jobs: jobs that evaluate a mask which another job has made.

Called by the API inside its transactions; never commits. An evaluation job is queued, run, requeued and retried like any other. It
names the job whose mask it evaluates, and is deleted with that job.
"""

from typing import Any

from sqlalchemy.orm import Session

from service.db.models import Job
from service.errors import JobNotFoundError
from service.jobs import commands, status_messages
from service.jobs.transitions import lock_row


def request_evaluation(
    session: Session,
    job_id: str,
    *,
    spec: dict[str, Any],
    evaluation: dict[str, Any],
    priority: int = 0,
    max_duration: float | None = None,
) -> Job:
    """A new job that evaluates the mask of ``job_id``, which has succeeded, for the same owner and with the same webhooks.

    ``spec`` is that of the job with the data set that is read in its task, by which a data set in use is known. Raises
    JobNotFoundError.
    """
    pruned = lock_row(session, Job.id == job_id)  # so that it is not deleted meanwhile
    if pruned is None:
        raise JobNotFoundError(job_id)
    created = commands.create(
        session,
        spec=spec | {"devices": 1},
        owner=pruned.owner,
        metadata=pruned.user_metadata,
        priority=priority,
        max_duration=max_duration,
        export_of=pruned.id,
        evaluation=evaluation,
    )
    status_messages.copy_webhooks(session, pruned.id, created.id)
    return created
