"""Pages of sweeps: a list, and each as a comparison of its jobs, live while they run; cancelled and deleted here, too."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from api.pages.access import PageReader, PageRoute, PageWriter
from api.pages.comparison import Comparison, Row, compare
from api.pages.forms import redirect
from api.pages.rendering import render
from api.request.deps import ServicesDep, SweepId
from api.responses.sweep_plot import Kind
from api.routes import sweep_results, sweeps
from api.schemas.jobs import Job
from api.schemas.sweeps import Sweep
from service.sweeps.sweeps import Grid, get, latest_jobs

router = APIRouter(prefix="/sweeps", include_in_schema=False, route_class=PageRoute)


@router.get("")
def sweeps_page(
    request: Request,
    services: ServicesDep,
    caller: PageReader,
    after: Annotated[str | None, Query(max_length=200)] = None,
    hx_request: Annotated[str, Header()] = "",
) -> Response:
    """The caller's sweeps, newest first; for htmx the part that changes."""
    page = sweeps.list_sweeps(services, caller, 20, after)
    template = "_sweeps.html" if hx_request else "sweeps.html"
    return render(request, template, sweeps=page.data, after=after, following=page.next_cursor)


@router.get("/{sweep_id}")
def sweep_page(
    sweep_id: SweepId, request: Request, services: ServicesDep, caller: PageReader, hx_request: Annotated[str, Header()] = ""
) -> Response:
    """The whole page, or for htmx the part that changes."""
    settings = services.settings
    with services.database.read() as session:
        row = get(session, sweep_id, owner=caller.owner_filter)
        rows = latest_jobs(session, [row])[sweep_id]
        sweep = Sweep.from_row(row, rows)
        options: dict[str, Any] = {"paused_days": settings.paused_days, "root_path": settings.root_path}
        jobs = {combination: Job.from_row(job, [], None, **options) for combination, job in rows.items()}
        combinations = Grid.from_row(row).combinations()
    known = dict(zip(jobs, compare(jobs.values()).rows, strict=True))
    here = f"{request.scope.get('root_path', '')}/sweeps/{sweep_id}"
    return render(
        request,
        "_comparison.html" if hx_request else "compare.html",
        comparison=Comparison(
            [
                known.get(combination) or Row(None, combination[0], combination[1], [("seed", str(combination[2]))])
                for combination in combinations
            ]
        ),
        here=here,
        figure=f"{here}/plot.svg?",
        left_out=0,
        sweep=sweep,
    )


@router.get("/{sweep_id}/plot.{kind}")
def figure(
    sweep_id: SweepId, kind: Kind, request: Request, services: ServicesDep, caller: PageReader, narrow: bool = False
) -> Response:
    """The figure of the JSON route; ``narrow`` for a phone."""
    return sweep_results.sweep_figure(request, services, caller, sweep_id, kind, narrow=narrow)


@router.get("/{sweep_id}/results.csv", response_model=None)
def results_csv(sweep_id: SweepId, services: ServicesDep, caller: PageReader) -> Response:
    """The table of the JSON route."""
    answer = sweep_results.get_sweep_results(sweep_id, services, caller, format="csv")
    assert isinstance(answer, Response)  # noqa: S101 - of this format it is
    return answer


@router.post("/{sweep_id}/cancel")
def cancel(sweep_id: SweepId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """End every job of the sweep that has not ended."""
    sweeps.cancel_sweep(sweep_id, services, caller)
    return redirect(request, f"/sweeps/{sweep_id}")


@router.post("/{sweep_id}/delete")
def delete(sweep_id: SweepId, request: Request, services: ServicesDep, caller: PageWriter) -> Response:
    """Redirect to the list of sweeps."""
    sweeps.delete_sweep(sweep_id, services, caller)
    return redirect(request, "/sweeps")
