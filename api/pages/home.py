"""First page: the caller's jobs, newest first, with the filters and cursors of the API, and the queue of the service."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from api.pages.access import PageReader, PageRoute
from api.pages.rendering import render
from api.request.deps import ServicesDep
from api.request.filters import MetadataFilter
from api.routes.jobs import Kind, Text, list_jobs
from pruning.spec.methods import METHODS, Method
from pruning.spec.tasks import TASKS
from service.operations import statistics
from service.states import JobKind, Status

router = APIRouter(include_in_schema=False, route_class=PageRoute)
_unset = BeforeValidator(lambda text: text or None)  # a form sends its empty fields, too
_PAGE = 20


@router.get("/")
def jobs_page(
    request: Request,
    services: ServicesDep,
    caller: PageReader,
    metadata: MetadataFilter,
    after: Annotated[str | None, Query(max_length=200)] = None,
    status: Annotated[Status | None, Query(), _unset] = None,
    task: Annotated[Text, Query(), _unset] = None,
    model: Annotated[Text, Query(), _unset] = None,
    method: Annotated[Method | None, Query(), _unset] = None,
    sweep: Annotated[Text, Query(), _unset] = None,
    kind: Annotated[Kind, Query()] = "pruning",
    accept: Annotated[str, Header()] = "",
    hx_request: Annotated[str, Header()] = "",
) -> Response:
    """The whole page, or for htmx the part that changes."""
    if not hx_request and "text/html" not in accept:
        raise HTTPException(404)  # programs use the paths below /v1
    filters: dict[str, Any] = {
        "status": status,
        "task": task,
        "model": model,
        "method": method,
        "sweep": sweep,
        "kind": kind if kind != "pruning" else None,
    }
    page = list_jobs(services, caller, metadata, _PAGE, after, **{**filters, "kind": kind})
    with services.database.read() as session:
        queue = statistics.read_queue(session, worker_seen_seconds=services.settings.worker_seen_seconds)
    chosen = [(name, value) for name, value in filters.items() if value]
    chosen += [(f"metadata[{key}]", value) for key, value in metadata]
    return render(
        request,
        "_jobs.html" if hx_request else "home.html",
        jobs=page.data,
        queue=queue,
        filters=filters,
        metadata=metadata,
        is_filtered=bool(chosen),
        after=after,
        here=_address(request, [*chosen, *([("after", after)] if after else [])]),
        first=_address(request, chosen),
        following=_address(request, [*chosen, ("after", page.next_cursor)]) if page.next_cursor else None,
        statuses=[*Status],
        tasks=sorted(TASKS),
        methods=[*METHODS],
        kinds=[*JobKind],
    )


def _address(request: Request, query: list[tuple[str, Any]]) -> str:
    root = request.scope.get("root_path", "")
    return f"{root}/?{urlencode(query)}" if query else f"{root}/"
