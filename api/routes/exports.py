"""Export routes: create and list the exports of a job that has succeeded; each is made by a job of its own."""

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Response

from api.errors.problems import problem_responses
from api.request import limits
from api.request.auth import Caller, Reader, Writer
from api.request.deps import JobId, Services, ServicesDep
from api.request.idempotency import Idempotency
from api.request.paging import TextCursor, page_size
from api.responses.job_documents import LOCATED, accepted, job_document, jobs_of_mask, store_created
from api.responses.long_poll import Prefer
from api.responses.routing import AuthenticatedRoute
from api.schemas.job_request import ExportRequest
from api.schemas.jobs import Job, JobList
from api.submission.export_checks import check_formats, hub_model_type
from api.submission.finished_masks import require_mask
from pruning.hub.local import find_folder
from pruning.models.checks import read_model_type
from pruning.spec.export_formats import archive_name
from service import uploaded_models
from service.access import quotas
from service.access.quotas import Quota
from service.errors import UploadedModelNotFoundError
from service.ids import is_model_id
from service.jobs import exports, queries
from service.states import TERMINAL, JobKind

router = APIRouter(prefix="/v1/jobs/{job_id}/exports", tags=["exports"], route_class=AuthenticatedRoute)
_LOCATION: dict[int | str, dict[str, Any]] = {
    202: LOCATED,
    200: LOCATED | {"description": "The job with the exports, new or existing", "model": Job},
}


@router.post(
    "",
    operation_id="createExports",
    status_code=202,
    response_model=Job,
    responses=problem_responses(400, 404, 409, 413, 415, 422, 507) | _LOCATION,
    summary="Export the mask of a job that has succeeded",
)
def create_exports(
    job_id: JobId, request: ExportRequest, services: ServicesDep, caller: Writer, idempotency: Idempotency, prefer: Prefer = None
) -> Response:
    """Returns the export job: its `export_of` is this one, the files and figures are its artifacts.

    Repeated requests change nothing: they return the job that makes or has the exports.
    """
    if (stored := idempotency.stored_response()) is not None:
        return stored
    model_type = _model_type(services, job_id, request, caller)
    with services.database.write() as session:
        pruned = queries.get(session, job_id, owner=caller.owner_filter)
        require_mask(session, pruned, "exports")
        check_formats(request.formats, pruned.spec, model_type, "formats")
        limits.check_queue_length(session, services.settings, pruned.owner)
        quotas.check_submission(session, Quota.from_settings(services.settings), pruned.owner)
        files: dict[str, str] = {name: archive_name(name) for name in request.formats}
        export = exports.request_export(session, pruned.id, files, priority=request.priority, max_duration=request.max_duration)
        if export.status not in TERMINAL:
            uploaded_models.lock_named(session, pruned.spec, owner=pruned.owner)
        job = job_document(session, services.settings, export)
        status = 200 if export.status in TERMINAL else 202
        store_created(session, idempotency, job, status)
    return accepted(job, services, prefer, caller, status)


@router.get("", operation_id="listExports", responses=problem_responses(404, 422), summary="List the exports of a job")
def list_exports(
    job_id: JobId, services: ServicesDep, caller: Reader, limit: Annotated[int, page_size("jobs")] = 20, after: TextCursor = None
) -> JobList:
    """Export jobs of this job's mask, newest first. Exports that the job itself made at its end are among its own artifacts."""
    return jobs_of_mask(services, caller, job_id, JobKind.EXPORT, limit=limit, after=after)


def _model_type(services: Services, job_id: str, request: ExportRequest, caller: Caller) -> str | None:
    """Model type of the job's model; None where only the trainer can find it out. Asks the hub where a format depends on it,
    outside of a transaction."""
    with services.database.read() as session:
        spec = queries.get(session, job_id, owner=caller.owner_filter).spec
        if is_model_id(spec["model"]):
            with suppress(UploadedModelNotFoundError):  # exports made before its deletion still exist
                return uploaded_models.get(session, spec["model"]).model_type
    folder = find_folder(services.settings.models_dir, spec["model"])
    return read_model_type(folder) if folder is not None else hub_model_type(request.formats, spec, services.settings)
