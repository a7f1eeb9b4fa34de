"""Sweep routes: submit a grid of jobs as one, list, get, cancel, delete. Their results are in ``api.routes.sweep_results``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Response

from api.errors.problems import problem_responses
from api.request import limits
from api.request.auth import Reader, Writer
from api.request.deps import ServicesDep, SweepId
from api.request.idempotency import REPLAYED_HEADER, Idempotency
from api.request.paging import TextCursor, page_size
from api.responses.job_documents import log_accepted
from api.responses.routing import AuthenticatedRoute
from api.schemas.job_request import JobRequest
from api.schemas.sweeps import Sweep, SweepList, SweepRequest, SweepSummary
from api.submission import admission, sweep_grid
from api.submission.forecast import LocalFacts, forecast
from pruning.errors import PermanentError
from service import broker, failpoints
from service.access import quotas
from service.access.quotas import Quota
from service.jobs import heartbeats
from service.operations import deletion
from service.sweeps import sweeps

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"], route_class=AuthenticatedRoute)
_LOCATION: dict[int | str, dict[str, Any]] = {
    202: {"headers": {"Location": {"description": "Path of the sweep", "schema": {"type": "string"}}, **REPLAYED_HEADER}}
}
_BASE_FIELDS = JobRequest.model_fields.keys() - {"metadata", "webhook"}
"""Fields of ``base`` that the sweep shows; ``metadata`` is a field of its own, and a webhook has a secret."""


@router.post(
    "",
    operation_id="createSweep",
    status_code=202,
    response_model=Sweep,
    responses=problem_responses(400, 409, 413, 415, 422, 507) | _LOCATION,
    summary="Submit a grid of jobs",
)
def create_sweep(request: SweepRequest, services: ServicesDep, caller: Writer, idempotency: Idempotency) -> Response:
    """All jobs are checked before any is created, and are created together or not at all."""
    if (stored := idempotency.stored_response()) is not None:
        return stored
    jobs = sweep_grid.expand_grid(request, max_jobs=services.settings.max_sweep_jobs)
    base = {name: value for name, value in request.base.items() if name in _BASE_FIELDS}
    with _errors_in_base():  # model, data and webhook are the same for all jobs
        share = admission.check_job(jobs[0], services.settings, services.database, caller.owner)
        if jobs[0].sparsity_by:  # which may fit one sparsity and not another
            matrices = admission.local_matrices(jobs[0], services.settings, services.database, caller.owner)
            for other in jobs[1:]:
                admission.check_layer_sparsity(other, matrices)
    jobs = [job.holding_out(share) for job in jobs]
    facts = LocalFacts.from_folders(jobs[0].spec, services.settings)
    with services.database.write() as session:
        limits.check_queue_length(session, services.settings, caller.owner, adding=len(jobs))
        quotas.check_submission(session, Quota.from_settings(services.settings), caller.owner)
        with _errors_in_base():
            uploaded = admission.lock_uploads(session, jobs[0].spec, caller.owner)
        jobs = [job.holding_out(uploaded.validation_share) for job in jobs]
        row, job_rows = sweeps.create(
            session,
            owner=caller.owner,
            grid=request.grid,
            base=base,
            jobs=[job.stored | {"warnings": forecast(job.spec, facts, uploaded.train_rows).warnings} for job in jobs],
            metadata=jobs[0].metadata,
            baseline=request.baseline,
        )
        if (webhook := jobs[0].webhook) is not None:
            for job in job_rows:
                admission.store_webhook(session, services.settings, webhook, owner=job.owner, job_id=job.id)
        body = Sweep.from_row(row, {sweeps.combination_of(job): job for job in job_rows}).model_dump_json()
        idempotency.store_response(session, 202, body, location := f"/v1/sweeps/{row.id}")
        live = heartbeats.live_workers(session, within_seconds=services.settings.worker_seen_seconds)
        failpoints.hit(failpoints.Failpoint.SUBMIT_WRITTEN)
    for job in job_rows:
        log_accepted(job.id)
    failpoints.hit(failpoints.Failpoint.SUBMIT_COMMITTED)
    # one message for each job that could start now: a worker that finishes a job claims the next without one
    for _ in range(max(1, min(len(jobs), sum(worker.slots for worker in live)))):
        broker.notify_workers(services.celery)
    return Response(body, 202, {"Location": location}, "application/json")


@router.get("", operation_id="listSweeps", responses=problem_responses(422), summary="List sweeps, newest first")
def list_sweeps(
    services: ServicesDep, caller: Reader, limit: Annotated[int, page_size("sweeps", 50)] = 20, after: TextCursor = None
) -> SweepList:
    """The list has no results."""
    with services.database.read() as session:
        rows, cursor = sweeps.page(session, owner=caller.owner_filter, limit=limit, after=after)
        # the jobs of one sweep at a time: there may be a hundred in each, with specs of 256 KiB
        data = [SweepSummary.from_row(row, sweeps.latest_jobs(session, [row])[row.id]) for row in rows]
    return SweepList(data=data, has_more=cursor is not None, next_cursor=cursor)


@router.get("/{sweep_id}", operation_id="getSweep", responses=problem_responses(404), summary="Get a sweep")
def get_sweep(sweep_id: SweepId, services: ServicesDep, caller: Reader) -> Sweep:
    """States, progress, and the results so far. For a retried job the newest retry counts."""
    with services.database.read() as session:
        sweep = sweeps.get(session, sweep_id, owner=caller.owner_filter)
        jobs = sweeps.latest_jobs(session, [sweep])[sweep_id]
    return Sweep.from_row(sweep, jobs)


@router.post("/{sweep_id}/cancel", operation_id="cancelSweep", responses=problem_responses(404), summary="Cancel a sweep")
def cancel_sweep(sweep_id: SweepId, services: ServicesDep, caller: Writer) -> Sweep:
    """Every job that has not ended; running ones end within seconds. Repeated requests change nothing."""
    with services.database.write() as session:
        row = sweeps.cancel(session, sweep_id, owner=caller.owner_filter)
        sweep = Sweep.from_row(row, sweeps.latest_jobs(session, [row])[sweep_id])
    failpoints.hit(failpoints.Failpoint.CONTROL_COMMITTED)
    return sweep


@router.delete(
    "/{sweep_id}",
    operation_id="deleteSweep",
    status_code=204,
    responses=problem_responses(404, 409),
    summary="Delete a sweep that has ended",
)
def delete_sweep(sweep_id: SweepId, services: ServicesDep, caller: Writer) -> None:
    """Deletes its jobs and all their files. 409 while a job of it has not ended: cancel it first."""
    deletion.delete_sweep(services.database, sweep_id, owner=caller.owner_filter)


@contextmanager
def _errors_in_base() -> Iterator[None]:
    """Refusals of a job, raised as refusals of the field in ``base``."""
    try:
        yield
    except PermanentError as refusal:
        refusal.param = f"base.{refusal.param}" if refusal.param else None
        raise
