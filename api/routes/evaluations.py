"""Evaluation routes: evaluate the mask of a job that has succeeded on other rows, and list them; each is a job of its own."""

from typing import Annotated

from fastapi import APIRouter, Response

from api.errors.problems import problem_responses
from api.request import limits
from api.request.auth import Reader, Writer
from api.request.deps import JobId, ServicesDep
from api.request.idempotency import Idempotency
from api.request.paging import TextCursor, page_size
from api.responses.job_documents import ACCEPTED, accepted, job_document, jobs_of_mask, store_created
from api.responses.long_poll import Prefer
from api.responses.routing import AuthenticatedRoute
from api.schemas.job_request import EvaluationRequest
from api.schemas.jobs import Job, JobList
from api.submission.evaluations import EvaluationPlan
from api.submission.finished_masks import require_mask
from service import uploaded_models
from service.access import quotas
from service.access.quotas import Quota
from service.jobs import evaluations, queries
from service.states import JobKind

router = APIRouter(prefix="/v1/jobs/{job_id}/evaluations", tags=["evaluations"], route_class=AuthenticatedRoute)


@router.post(
    "",
    operation_id="createEvaluation",
    status_code=202,
    response_model=Job,
    responses=problem_responses(400, 404, 409, 413, 415, 422, 507) | ACCEPTED,
    summary="Evaluate the mask of a job that has succeeded",
)
def create_evaluation(
    job_id: JobId,
    request: EvaluationRequest,
    services: ServicesDep,
    caller: Writer,
    idempotency: Idempotency,
    prefer: Prefer = None,
) -> Response:
    """Returns the evaluation job: its `evaluation_of` is this one, its `result` has the metrics, and its artifacts are
    `evaluation.json` and `predictions.jsonl`, with a line for each row.
    """
    if (stored := idempotency.stored_response()) is not None:
        return stored
    with services.database.read() as session:
        pruned = queries.get(session, job_id, owner=caller.owner_filter)
        require_mask(session, pruned, "evaluations")
        owner, plan = pruned.owner, EvaluationPlan.from_request(pruned.spec, request)
    plan.check_folder(services.settings)
    with services.database.write() as session:
        limits.check_queue_length(session, services.settings, owner)
        quotas.check_submission(session, Quota.from_settings(services.settings), owner)
        plan.lock_upload(session, owner)
        uploaded_models.lock_named(session, plan.spec.model_dump(mode="json"), owner=owner)
        row = evaluations.request_evaluation(
            session,
            job_id,
            spec=plan.spec.model_dump(mode="json"),
            evaluation=plan.rows,
            priority=request.priority,
            max_duration=request.max_duration,
        )
        job = job_document(session, services.settings, row)
        store_created(session, idempotency, job)
    return accepted(job, services, prefer, caller)


@router.get("", operation_id="listEvaluations", responses=problem_responses(404, 422), summary="List the evaluations of a job")
def list_evaluations(
    job_id: JobId, services: ServicesDep, caller: Reader, limit: Annotated[int, page_size("jobs")] = 20, after: TextCursor = None
) -> JobList:
    """The jobs that evaluate its mask, newest first; each is a job, at `/v1/jobs/{id}`."""
    return jobs_of_mask(services, caller, job_id, JobKind.EVALUATION, limit=limit, after=after)
