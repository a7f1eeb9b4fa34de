"""Representation of a job: its JSON bytes with their entity tag, as they are sent.

Concurrent requests for one job share it: :func:`load_jobs` is the fetch function of the job loader of ``api.app``.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from api.schemas.jobs import Job
from service.db.engine import Database
from service.jobs import views
from service.states import Status


@dataclass(frozen=True)
class JobRepresentation:
    """A job at one moment, serialized."""

    id: str
    owner: str
    status: Status
    body: bytes
    """JSON."""
    etag: str
    """Strong: the same tag means the same bytes."""

    @classmethod
    def from_job(cls, job: Job) -> Self:
        """Serialize ``job``."""
        body = job.model_dump_json().encode()
        return cls(job.id, job.owner, job.status, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def load_jobs(
    database: Database, job_ids: Collection[str], *, paused_days: float, root_path: str
) -> Mapping[str, JobRepresentation | None]:
    """Each of these jobs, of any owner; None for those that do not exist."""
    with database.read_connection() as connection:
        found = views.load(connection, job_ids)
    jobs = {job_id: Job.from_row(*view, paused_days=paused_days, root_path=root_path) for job_id, view in found.items()}
    loaded = {job_id: JobRepresentation.from_job(job) for job_id, job in jobs.items()}
    return {job_id: loaded.get(job_id) for job_id in job_ids}
