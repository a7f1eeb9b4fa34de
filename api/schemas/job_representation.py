"""A job as it goes out: bytes with their entity tag. Many requests for a job at once share them (``api.request.query_batcher``)."""

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
    """A job at one moment."""

    id: str
    owner: str
    status: Status
    body: bytes
    """JSON."""
    etag: str
    """Strong: the same tag means the same bytes."""

    @classmethod
    def from_job(cls, job: Job) -> Self:
        """``job`` as bytes."""
        body = job.model_dump_json().encode()
        return cls(job.id, job.owner, job.status, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def load_jobs(database: Database, job_ids: Collection[str]) -> Mapping[str, JobRepresentation | None]:
    """Every one of these jobs, whoever owns it; None for those that do not exist."""
    with database.read_connection() as connection:
        found = views.load(connection, job_ids)
    shown = {job_id: JobRepresentation.from_job(Job.from_row(*seen)) for job_id, seen in found.items()}
    return {job_id: shown.get(job_id) for job_id in job_ids}
