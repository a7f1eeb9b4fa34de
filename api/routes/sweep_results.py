"""Results of a sweep: the table as JSON or CSV, and the figure as SVG or PNG, of the jobs that have succeeded so far."""

import csv
import hashlib
import io
from dataclasses import asdict, fields
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from api.errors.exceptions import UnavailableError
from api.errors.problems import problem_responses
from api.request.auth import Caller, Reader
from api.request.conditional import etag_matches
from api.request.deps import Services, ServicesDep, SweepId
from api.responses import sweep_plot
from api.responses.routing import AuthenticatedRoute
from api.schemas.sweeps import SweepResults
from service.db import models
from service.states import TERMINAL
from service.sweeps import results, sweeps
from service.sweeps.results import Row, Table
from service.sweeps.sweeps import Combination, Grid

_FIGURES_RETRY_SECONDS = 2
router = APIRouter(prefix="/v1/sweeps/{sweep_id}", tags=["sweeps"], route_class=AuthenticatedRoute)


@router.get(
    "/results",
    operation_id="getSweepResults",
    response_model=SweepResults,
    responses=problem_responses(404, 422) | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    summary="The results as a table",
)
def get_sweep_results(
    sweep_id: SweepId,
    services: ServicesDep,
    caller: Reader,
    format: Annotated[Literal["json", "csv"], Query(description="csv: the rows alone")] = "json",  # noqa: A002 - the name of the parameter
) -> Response | SweepResults:
    """A row per combination; with `json` also the means over the seeds."""
    sweep, jobs = _read_sweep(services, sweep_id, caller.owner_filter)
    table = results.build_table(Grid.from_row(sweep), jobs)
    if format == "json":
        return SweepResults.from_table(table, sweep.baseline)
    headers = {"Content-Disposition": f'attachment; filename="{sweep_id}.csv"', "X-Content-Type-Options": "nosniff"}
    return Response(_csv(table), headers=headers, media_type="text/csv")


@router.get(
    "/plot.svg",
    operation_id="getSweepPlotSvg",
    response_class=Response,
    responses=problem_responses(404)
    | {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}, 304: {"description": "Unchanged"}},
    summary="The results as a figure, SVG",
)
def get_sweep_plot_svg(sweep_id: SweepId, request: Request, services: ServicesDep, caller: Reader) -> Response:
    """Remaining weights across, metric up, a line per method: means over the seeds, with a band from worst to best."""
    return sweep_figure(request, services, caller, sweep_id, "svg")


@router.get(
    "/plot.png",
    operation_id="getSweepPlotPng",
    response_class=Response,
    responses=problem_responses(404)
    | {200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}, 304: {"description": "Unchanged"}},
    summary="The results as a figure, PNG",
)
def get_sweep_plot_png(sweep_id: SweepId, request: Request, services: ServicesDep, caller: Reader) -> Response:
    """The figure as PNG, of the jobs that have succeeded so far."""
    return sweep_figure(request, services, caller, sweep_id, "png")


def _read_sweep(services: Services, sweep_id: str, owner: str | None) -> tuple[models.Sweep, dict[Combination, models.Job]]:
    with services.database.read() as session:
        sweep = sweeps.get(session, sweep_id, owner=owner)
        return sweep, sweeps.latest_jobs(session, [sweep])[sweep_id]


def _csv(table: Table) -> str:
    """The rows, with the metric's name in a column of its own."""
    written = io.StringIO()
    columns = [field.name for field in fields(Row)]
    writer = csv.DictWriter(written, ["metric_name", *columns], lineterminator="\n")
    writer.writeheader()
    for row in table.rows:
        writer.writerow({"metric_name": table.metric or ""} | asdict(row))
    return written.getvalue()


def sweep_figure(
    request: Request, services: Services, caller: Caller, sweep_id: str, kind: sweep_plot.Kind, *, narrow: bool = False
) -> Response:
    """The figure of a sweep; ``narrow`` for the page on a phone."""
    sweep, jobs = _read_sweep(services, sweep_id, caller.owner_filter)
    table = results.build_table(Grid.from_row(sweep), jobs)
    panel = sweep_plot.Panel.from_table(table, _caption(sweep, jobs))
    return figure_response(request, services, caller.owner, (panel,), kind)


def figure_response(
    request: Request,
    services: Services,
    owner: str,
    panels: tuple[sweep_plot.Panel, ...],
    kind: sweep_plot.Kind,
    *,
    narrow: bool = False,
) -> Response:
    """The figure, drawn in a slot of ``owner``. Raises UnavailableError where all are taken."""
    if not services.figure_slots.acquire(owner):
        raise UnavailableError("figures_busy", "too many figures are being drawn; try again", retry_after=_FIGURES_RETRY_SECONDS)
    try:
        body = sweep_plot.draw(panels, kind, narrow=narrow)
    finally:
        services.figure_slots.release(owner)
    headers = {
        "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",  # browsers display an SVG as a document
    }
    if etag_matches(request.headers.get("if-none-match"), headers["ETag"], weak=True):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="image/svg+xml" if kind == "svg" else "image/png")


def _caption(sweep: models.Sweep, jobs: dict[Combination, models.Job]) -> sweep_plot.Caption:
    task = sweep.base.get("task", "")
    task = task.get("dataset", "custom task") if isinstance(task, dict) else task
    ended, seeds = sum(job.status in TERMINAL for job in jobs.values()), len(sweep.grid["seeds"])
    band = f" · mean over {seeds} seeds, band from worst to best" if seeds > 1 else ""
    note = f"{ended} of {len(jobs)} jobs ended{band}"
    return sweep_plot.Caption(f"{sweep.base.get('model', '')} · {task}", note, sweep.baseline)
