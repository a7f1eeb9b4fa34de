"""Job routes: submit, list, get, cancel, pause, resume, retry, delete. A write is committed before its response is sent."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from api.errors.problems import problem_responses
from api.request import limits
from api.request.auth import Reader, Writer
from api.request.deps import JobId, ServicesDep
from api.request.filters import METADATA_PARAMETER, MetadataFilter
from api.request.idempotency import Idempotency
from api.request.paging import TextCursor, page_size
from api.responses.job_documents import ACCEPTED, accepted, job_document, job_list, store_created
from api.responses.long_poll import ETAG_HEADERS, IfNoneMatch, LongPollResponse, Prefer, load_job, parse_prefer_wait
from api.responses.routing import AuthenticatedRoute
from api.schemas.dry_run import DryRun
from api.schemas.job_request import JobRequest
from api.schemas.jobs import Job, JobList
from api.submission import admission
from api.submission.dry_run import preview
from api.submission.forecast import LocalFacts, forecast
from pruning.spec.methods import Method
from service import broker, datasets, failpoints, uploaded_masks, uploaded_models
from service.access import quotas
from service.access.quotas import Quota
from service.db.models import kind_of
from service.ids import is_job_id
from service.jobs import commands, queries
from service.operations import deletion
from service.states import JobKind, Status

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=AuthenticatedRoute)
_OR_DRY_RUN: dict[int | str, dict[str, Any]] = {
    200: {**ACCEPTED[200], "description": f"{ACCEPTED[200]['description']}; or a dry run", "model": Job | DryRun}
}
_GET_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"headers": ETAG_HEADERS},
    304: {"description": "Unchanged since the ETag of If-None-Match", "headers": ETAG_HEADERS},
}
Kind = Literal["pruning", "export", "evaluation"]
Text = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.post(
    "",
    operation_id="createJob",
    status_code=202,
    response_model=Job,
    responses=problem_responses(400, 409, 413, 415, 422, 507) | ACCEPTED | _OR_DRY_RUN,
    summary="Submit a job",
)
def create_job(
    request: JobRequest,
    services: ServicesDep,
    caller: Writer,
    idempotency: Idempotency,
    prefer: Prefer = None,
    dry_run: Annotated[
        bool,
        Query(
            description="Check the job and return its resolved spec and estimates; creates nothing and stores no idempotency key"
        ),
    ] = False,
) -> Response:
    """Responds once the job is stored, with every default filled in. A job that is sure to fail is refused at once."""
    if dry_run:
        return Response(preview(request, services, caller).model_dump_json(), 200, media_type="application/json")
    if (stored := idempotency.stored_response()) is not None:
        return stored
    request = request.holding_out(admission.check_job(request, services.settings, services.database, caller.owner))
    facts = LocalFacts.from_folders(request.spec, services.settings)
    with services.database.write() as session:
        limits.check_queue_length(session, services.settings, caller.owner)
        quotas.check_submission(session, Quota.from_settings(services.settings), caller.owner)
        uploaded = admission.lock_uploads(session, request.spec, caller.owner)
        request = request.holding_out(uploaded.validation_share)
        warnings = forecast(request.spec, facts, uploaded.train_rows).warnings
        row = commands.create(session, owner=caller.owner, warnings=warnings, **request.stored)
        if request.webhook is not None:
            admission.store_webhook(session, services.settings, request.webhook, owner=row.owner, job_id=row.id)
        job = job_document(session, services.settings, row)
        store_created(session, idempotency, job)
    return accepted(job, services, prefer, caller)


@router.get(
    "",
    operation_id="listJobs",
    responses=problem_responses(422),
    openapi_extra=METADATA_PARAMETER,
    summary="List jobs, newest first",
)
def list_jobs(
    services: ServicesDep,
    caller: Reader,
    labels: MetadataFilter,
    limit: Annotated[int, page_size("jobs")] = 20,
    after: TextCursor = None,
    status: Annotated[Status | None, Query(description="Only jobs in this state")] = None,
    task: Annotated[Text, Query(description="Only jobs for this task, by name")] = None,
    model: Annotated[Text, Query(description="Only jobs of this model")] = None,
    method: Annotated[Method | None, Query(description="Only jobs by this method")] = None,
    sweep: Annotated[Text, Query(description="Only jobs of this sweep")] = None,
    kind: Annotated[Kind, Query(description="Jobs that prune, or those that export or evaluate the mask of another")] = "pruning",
) -> JobList:
    """Pages neither repeat nor skip a job while others are created and deleted."""
    with services.database.read() as session:
        ids, cursor = queries.page(
            session,
            owner=caller.owner_filter,
            limit=limit,
            after=after,
            status=status,
            task=task,
            model=model,
            method=method,
            sweep=sweep,
            metadata=labels,
            kind=JobKind(kind),
        )
        return job_list(session, services.settings, ids, cursor)


@router.get(
    "/{job_id}", operation_id="getJob", response_model=Job, responses=problem_responses(404) | _GET_RESPONSES, summary="Get a job"
)
async def get_job(
    job_id: JobId, services: ServicesDep, caller: Reader, if_none_match: IfNoneMatch = None, prefer: Prefer = None
) -> Response:
    """State, phase, progress, latest metrics, and links to its files."""
    job = await load_job(services, job_id, owner=caller.owner_filter)
    seconds = parse_prefer_wait(prefer, services.settings.max_wait_seconds)
    return LongPollResponse(services, job, none_match=if_none_match, seconds=seconds, caller=caller)


@router.post("/{job_id}/cancel", operation_id="cancelJob", responses=problem_responses(404, 409), summary="Cancel a job")
def cancel_job(job_id: JobId, services: ServicesDep, caller: Writer) -> Job:
    """Immediate while no worker has it, else within seconds. Repeated requests change nothing; 409 once succeeded or failed."""
    with services.database.write() as session:
        job = job_document(session, services.settings, commands.request_cancel(session, job_id, owner=caller.owner_filter))
    failpoints.hit(failpoints.Failpoint.CONTROL_COMMITTED)
    return job


@router.post("/{job_id}/pause", operation_id="pauseJob", responses=problem_responses(404, 409), summary="Pause a job")
def pause_job(job_id: JobId, services: ServicesDep, caller: Writer) -> Job:
    """Immediate while no worker has it, else within seconds and with a checkpoint. Repeated requests change nothing."""
    with services.database.write() as session:
        job = job_document(session, services.settings, commands.request_pause(session, job_id, owner=caller.owner_filter))
    failpoints.hit(failpoints.Failpoint.CONTROL_COMMITTED)
    return job


@router.post("/{job_id}/resume", operation_id="resumeJob", responses=problem_responses(404, 409), summary="Resume a paused job")
def resume_job(job_id: JobId, services: ServicesDep, caller: Writer) -> Job:
    """Queues it again; it continues from its checkpoint. A pending request to pause is withdrawn."""
    with services.database.write() as session:
        former = queries.get(session, job_id, owner=caller.owner_filter)
        if former.status is Status.PAUSED:
            limits.check_queue_length(session, services.settings, former.owner, adding=0)
        job = job_document(session, services.settings, commands.resume(session, job_id, owner=caller.owner_filter))
    failpoints.hit(failpoints.Failpoint.CONTROL_COMMITTED)
    if job.status is Status.QUEUED:
        broker.notify_workers(services.celery)
    return job


@router.post(
    "/{job_id}/retry",
    operation_id="retryJob",
    status_code=202,
    response_model=Job,
    responses=problem_responses(404, 409, 422, 507) | ACCEPTED,
    summary="Retry a failed or cancelled job",
)
def retry_job(job_id: JobId, services: ServicesDep, caller: Writer, idempotency: Idempotency, prefer: Prefer = None) -> Response:
    """Returns a new job of the same spec, whose `retried_from` is this one; the same new job until that has ended."""
    if (stored := idempotency.stored_response()) is not None:
        return stored
    with services.database.write() as session:
        former = queries.get(session, job_id, owner=caller.owner_filter)
        limits.check_queue_length(session, services.settings, former.owner)
        quotas.check_submission(session, Quota.from_settings(services.settings), former.owner)
        if (dataset := datasets.dataset_named_in(former.spec)) is not None:
            datasets.lock_for_reader(session, dataset, owner=former.owner)
        uploaded_models.lock_named(session, former.spec, owner=former.owner)
        if kind_of(former) is JobKind.PRUNING:
            uploaded_masks.lock_start(session, former.spec, owner=former.owner)
            if is_job_id(former.spec.get("init_from") or ""):
                queries.require(session, former.spec["init_from"], owner=former.owner)
        job = job_document(session, services.settings, commands.retry(session, job_id, owner=caller.owner_filter))
        store_created(session, idempotency, job)
    return accepted(job, services, prefer, caller)


@router.delete(
    "/{job_id}", operation_id="deleteJob", status_code=204, responses=problem_responses(404, 409), summary="Delete a finished job"
)
def delete_job(job_id: JobId, services: ServicesDep, caller: Writer) -> None:
    """With its events, metrics, artifacts, exports and evaluations. 409 while it is not finished: cancel it first."""
    deletion.delete_job(services.database, job_id, owner=caller.owner_filter)
