"""Page of compared jobs, those that are ticked on the first page: one sparsity-metric figure and one table."""

import re
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response

from api.pages.access import PageReader, PageRoute
from api.pages.comparison import compare, panels
from api.pages.rendering import render
from api.request.auth import Caller
from api.request.deps import Services, ServicesDep
from api.responses.sweep_plot import MAX_PANELS, Kind
from api.routes.sweep_results import figure_response
from api.schemas.jobs import Job
from service.errors import JobNotFoundError
from service.jobs import views

router = APIRouter(prefix="/compare", include_in_schema=False, route_class=PageRoute)
_MAX_JOBS = 50
"""Most jobs of a comparison, each with a spec of up to 256 KiB."""
_ID = re.compile(r"job_[0-9a-z]{1,36}")
Ids = Annotated[list[str], Query(alias="job", max_length=_MAX_JOBS)]


@router.get("")
def compare_page(
    request: Request,
    services: ServicesDep,
    caller: PageReader,
    ids: Ids = [],  # noqa: B006 - FastAPI copies it
    hx_request: Annotated[str, Header()] = "",
) -> Response:
    """The whole page, or for htmx the part that changes; without jobs, instructions to choose some."""
    jobs = _load(services, caller, ids)
    query = urlencode([("job", job.id) for job in jobs])
    root = request.scope.get("root_path", "")
    return render(
        request,
        "_comparison.html" if hx_request else "compare.html",
        comparison=compare(jobs),
        here=f"{root}/compare?{query}",
        figure=f"{root}/compare/plot.svg?{query}",
        left_out=max(0, len(panels(jobs)) - MAX_PANELS),
        sweep=None,
    )


@router.get("/plot.{kind}")
def figure(kind: Kind, request: Request, services: ServicesDep, caller: PageReader, ids: Ids, narrow: bool = False) -> Response:
    """The figure of the page, an SVG document or a PNG file; ``narrow`` for a phone."""
    drawn = panels(_load(services, caller, ids))[:MAX_PANELS]
    return figure_response(request, services, caller.owner, drawn, kind, narrow=narrow)


def _load(services: Services, caller: Caller, ids: list[str]) -> list[Job]:
    """The jobs. The jobs. Raises JobNotFoundError, also for jobs of others."""
    wanted = [*dict.fromkeys(ids)]
    if strange := next((job_id for job_id in wanted if not _ID.fullmatch(job_id)), None):
        raise JobNotFoundError(strange)
    with services.database.read() as session:
        found = views.load(session.connection(), wanted)
    settings, jobs = services.settings, []
    for job_id in wanted:
        view = found.get(job_id)
        if view is None or caller.owner_filter not in (None, view.job.owner):
            raise JobNotFoundError(job_id)
        jobs.append(Job.from_row(*view, paused_days=settings.paused_days, root_path=settings.root_path))
    return jobs
