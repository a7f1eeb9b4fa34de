"""Responses with jobs: one that was created, one as it is after a change, and a page of a list.

Called by the routes that create, change and list jobs of any kind.
"""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import Response
from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from api.request.auth import Caller
from api.request.deps import Services
from api.request.idempotency import REPLAYED_HEADER, IdempotentRequest
from api.responses.long_poll import ETAG_HEADERS, LongPollResponse, parse_prefer_wait
from api.schemas.job_representation import JobRepresentation
from api.schemas.jobs import Job, JobList
from service import broker, failpoints
from service.artifacts import store
from service.db import models
from service.jobs import queries, views
from service.settings import Settings
from service.states import JobKind, Status

log = logging.getLogger(__name__)
LOCATED: dict[str, Any] = {
    "headers": {"Location": {"description": "Path of the job", "schema": {"type": "string"}}, **REPLAYED_HEADER, **ETAG_HEADERS}
}
"""Headers of a response with a created job, in OpenAPI."""
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: LOCATED,
    200: {"description": "The job, which has ended while Prefer: wait delayed the response", "model": Job, "headers": ETAG_HEADERS},
}


def job_document(session: Session, settings: Settings, row: models.Job) -> Job:
    """The job with its artifacts and its webhook."""
    return Job.from_row(
        row, store.list_for_job(session, row.id), row.webhook, paused_days=settings.paused_days, root_path=settings.root_path
    )


def store_created(session: Session, idempotency: IdempotentRequest, job: Job, status: int = 202) -> None:
    """Store the response for repetitions of the request, in the transaction that creates the job."""
    idempotency.store_response(session, status, job.model_dump_json(), _path(job))
    failpoints.hit(failpoints.Failpoint.SUBMIT_WRITTEN)


def log_accepted(job_id: str) -> None:
    """The log line that leads from a request to what workers log about the job that it made."""
    with bound_contextvars(job_id=job_id):
        log.info("accepted")


def accepted(job: Job, services: Services, prefer: str | None, caller: Caller, status: int = 202) -> Response:
    """The response for a stored job, after workers were notified if it is queued."""
    log_accepted(job.id)
    failpoints.hit(failpoints.Failpoint.SUBMIT_COMMITTED)
    if job.status is Status.QUEUED:
        broker.notify_workers(services.celery)  # a lost message costs seconds: workers also poll
    failpoints.hit(failpoints.Failpoint.SUBMIT_NOTIFIED)
    seconds = parse_prefer_wait(prefer, services.settings.max_wait_seconds)
    return LongPollResponse(
        services, JobRepresentation.from_job(job), status=status, location=_path(job), seconds=seconds, caller=caller
    )


def jobs_of_mask(services: Services, caller: Caller, job_id: str, kind: JobKind, *, limit: int, after: str | None) -> JobList:
    """The jobs of ``kind`` that use the mask of a job, newest first. Raises JobNotFoundError, InvalidCursorError."""
    with services.database.read() as session:
        queries.require(session, job_id, owner=caller.owner_filter)
        ids, cursor = queries.page(session, limit=limit, after=after, kind=kind, of=job_id)
        return job_list(session, services.settings, ids, cursor)


def job_list(session: Session, settings: Settings, ids: Sequence[str], cursor: str | None) -> JobList:
    """The page of these jobs, which exist; ``cursor`` of the next page."""
    page, cursor = views.load_page(session.connection(), ids, cursor)
    data = [Job.from_row(*view, paused_days=settings.paused_days, root_path=settings.root_path) for view in page]
    return JobList(data=data, has_more=cursor is not None, next_cursor=cursor)


def _path(job: Job) -> str:
    return f"/v1/jobs/{job.id}"
