"""Pages of uploaded models: upload of a folder's files or of its zip, the list, and one model with its files and its use in a job.

They call the functions of the JSON routes. An upload is received within the limits of ``POST /v1/models``, with and without
JavaScript, which adds the progress.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from api.pages.access import TOKEN_FIELD, PageReader, PageRoute, PageUploader, PageWriter, require_token
from api.pages.forms import is_given, redirect, send_upload
from api.pages.rendering import render
from api.request.auth import Caller
from api.request.deps import ModelId, Services, ServicesDep
from api.request.idempotency import IdempotentRequest
from api.request.paging import NumberCursor
from api.routes import models
from service import uploaded_models

router = APIRouter(prefix="/models", include_in_schema=False, route_class=PageRoute)
_PAGE = 20


@router.get("")
def models_page(request: Request, services: ServicesDep, caller: PageReader, after: NumberCursor = None) -> Response:
    """The form of an upload, and the uploaded models, newest first."""
    return _list(request, services, caller, after=after)


@router.post("")
async def upload(request: Request, services: ServicesDep, caller: PageUploader) -> Response:
    """Redirect to the model; or the page again, with the faults of the files."""
    typed: dict[str, str] = {}

    def accept(form: FormData) -> FormData:
        require_token(request, form)
        typed.update({field: value.strip() for field, value in form.multi_items() if isinstance(value, str)})
        return FormData([(field, value) for field, value in form.multi_items() if field != TOKEN_FIELD and is_given(value)])

    def page(status: int, problem: dict[str, Any]) -> Response:
        return _list(request, services, caller, status, problem=problem, typed=typed)

    unkeyed = IdempotentRequest(services, caller.owner, "POST /models", None, "")
    sending = models.receive_model(request, services, caller, unkeyed, accept=accept, further_fields=1)
    return await send_upload(request, sending, "/models", page)


@router.get("/{model_id}")
def model_page(model_id: ModelId, request: Request, services: ServicesDep, caller: PageReader) -> Response:
    """Type, weights, files with their digests; and the link to a new job."""
    model = models.get_model(model_id, services, caller)
    is_own = uploaded_models.model_id_for(caller.owner, model.sha256) == model.id  # a job can read its owner's models only
    return render(request, "model.html", model=model, use=f"/new?model={model_id}" if is_own else None)


@router.post("/{model_id}/delete")
def delete(model_id: ModelId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Redirect to the list."""
    models.delete_model(model_id, services, caller)
    return redirect(request, "/models")


def _list(
    request: Request,
    services: Services,
    caller: Caller,
    status: int = 200,
    *,
    after: int | None = None,
    problem: Mapping[str, Any] | None = None,
    typed: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    with services.database.read() as session:
        rows, following = uploaded_models.page(session, limit=_PAGE, owner=caller.owner_filter, after=after)
    details = [] if problem is None else [fault["detail"] for fault in problem.get("errors", ())] or [problem["detail"]]
    return render(
        request,
        "models.html",
        status,
        models=rows,
        following=following,
        after=after,
        problem=problem,
        details=details,
        typed=typed,
        max_bytes=services.settings.max_model_bytes,
    )
