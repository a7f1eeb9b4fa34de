"""Sweeps: a grid of jobs submitted as one, with one table and one figure of what came out."""

import csv
import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from api.errors.problems import problem_responses
from api.request import limits
from api.request.auth import Reader, Writer
from api.request.conditional import etag_matches
from api.request.deps import Services, ServicesDep, SweepId
from api.request.idempotency import REPLAYED_HEADER, Idempotency
from api.responses.routing import AuthenticatedRoute
from api.schemas.jobs import JobRequest
from api.schemas.sweeps import Sweep, SweepList, SweepRequest, SweepResults, SweepSummary
from api.submission import admission, sweep_grid, sweep_plot, webhook_checks
from pruning.errors import PermanentError
from service import broker, failpoints
from service.access import quotas
from service.access.quotas import Quota
from service.db import models
from service.jobs import heartbeats
from service.states import TERMINAL
from service.sweeps import results, sweeps
from service.sweeps.results import Row, Table
from service.sweeps.sweeps import Combination, Grid

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"], route_class=AuthenticatedRoute)
_LOCATION: dict[int | str, dict[str, Any]] = {
    202: {
        "headers": {"Location": {"description": "Path of the sweep", "schema": {"type": "string"}}, **REPLAYED_HEADER}
    },
}
_SHOWN = JobRequest.model_fields.keys() - {"metadata", "webhook"}
"""Fields of ``base`` that are shown back in it; the others are beside it, or nobody's business."""


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
    base = {name: value for name, value in request.base.items() if name in _SHOWN}
    with _blaming_base():  # model, data and webhook, which all of them share
        admission.check_job(jobs[0], services.settings)
    with services.database.write() as session:
        limits.check_queue_length(session, services.settings, caller.owner, adding=len(jobs))
        quotas.check_submission(session, Quota.from_settings(services.settings), caller.owner)
        with _blaming_base():
            admission.hold_dataset(session, jobs[0].spec, caller.owner)
        sweep, made = sweeps.create(
            session, owner=caller.owner, grid=request.grid, base=base, jobs=[job.stored for job in jobs],
            metadata=jobs[0].metadata, baseline=request.baseline,
        )  # fmt: skip
        if (webhook := jobs[0].webhook) is not None:
            for job in made:
                webhook_checks.store_webhook(session, services.settings, webhook, owner=job.owner, job_id=job.id)
        body = Sweep.with_results(sweep, {sweeps.combination_of(job): job for job in made}).model_dump_json()
        idempotency.store_response(session, 202, body, location := f"/v1/sweeps/{sweep.id}")
        live = heartbeats.live_workers(session, within_seconds=services.settings.worker_seen_seconds)
        failpoints.hit(failpoints.Failpoint.SUBMIT_WRITTEN)
    failpoints.hit(failpoints.Failpoint.SUBMIT_COMMITTED)
    # once for each job that could start now: who finishes one looks for the next by itself
    for _ in range(max(1, min(len(jobs), sum(worker.slots for worker in live)))):
        broker.notify_workers(services.celery)
    return Response(body, 202, {"Location": location}, "application/json")


@router.get("", operation_id="listSweeps", responses=problem_responses(422), summary="List sweeps, newest first")
def list_sweeps(
    services: ServicesDep,
    caller: Reader,
    limit: Annotated[int, Query(ge=1, le=50, description="Largest number of sweeps returned")] = 20,
    after: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")] = None,
) -> SweepList:
    """Without their results."""
    with services.database.read() as session:
        rows, cursor = sweeps.page(session, owner=caller.owner_filter, limit=limit, after=after)
        jobs = sweeps.latest_jobs(session, rows)
        data = [SweepSummary.from_row(row, jobs[row.id]) for row in rows]
    return SweepList(data=data, has_more=cursor is not None, next_cursor=cursor)


@router.get("/{sweep_id}", operation_id="getSweep", responses=problem_responses(404), summary="Look at a sweep")
def get_sweep(sweep_id: SweepId, services: ServicesDep, caller: Reader) -> Sweep:
    """States, progress, and the results by now. Of a job that was retried the newest counts."""
    return Sweep.with_results(*_read(services, sweep_id, caller.owner_filter))


@router.get(
    "/{sweep_id}/results",
    operation_id="getSweepResults",
    response_model=SweepResults,
    responses=problem_responses(404, 422) | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    summary="The results as a table",
)
def get_sweep_results(
    sweep_id: SweepId,
    services: ServicesDep,
    caller: Reader,
    format: Annotated[Literal["json", "csv"], Query(description="csv: the rows alone")] = "json",  # noqa: A002
) -> Response | SweepResults:
    """A row per combination; with `json` also the means over the seeds."""
    sweep, jobs = _read(services, sweep_id, caller.owner_filter)
    table = results.build_table(Grid.from_row(sweep), jobs)
    if format == "json":
        return SweepResults.from_table(table, sweep.baseline)
    headers = {"Content-Disposition": f'attachment; filename="{sweep_id}.csv"', "X-Content-Type-Options": "nosniff"}
    return Response(_csv(table), headers=headers, media_type="text/csv")


@router.get(
    "/{sweep_id}/plot.svg",
    operation_id="getSweepPlotSvg",
    response_class=Response,
    responses=problem_responses(404)
    | {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}, 304: {"description": "Unchanged"}},
    summary="The results as a figure, SVG",
)
def get_sweep_plot_svg(sweep_id: SweepId, request: Request, services: ServicesDep, caller: Reader) -> Response:
    """Remaining weights across, metric up, a line per method: means over the seeds, with a band from worst to best."""
    return _figure(request, _read(services, sweep_id, caller.owner_filter), "svg")


@router.get(
    "/{sweep_id}/plot.png",
    operation_id="getSweepPlotPng",
    response_class=Response,
    responses=problem_responses(404)
    | {
        200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "Unchanged"},
    },
    summary="The results as a figure, PNG",
)
def get_sweep_plot_png(sweep_id: SweepId, request: Request, services: ServicesDep, caller: Reader) -> Response:
    """The same figure; both show what has succeeded by now."""
    return _figure(request, _read(services, sweep_id, caller.owner_filter), "png")


@router.post(
    "/{sweep_id}/cancel", operation_id="cancelSweep", responses=problem_responses(404), summary="Cancel a sweep"
)
def cancel_sweep(sweep_id: SweepId, services: ServicesDep, caller: Writer) -> Sweep:
    """Every job that has not ended; running ones end within seconds. Asking again changes nothing."""
    with services.database.write() as session:
        sweep = sweeps.cancel(session, sweep_id, owner=caller.owner_filter)
        shown = Sweep.with_results(sweep, sweeps.latest_jobs(session, [sweep])[sweep_id])
    failpoints.hit(failpoints.Failpoint.CONTROL_COMMITTED)
    return shown


@router.delete(
    "/{sweep_id}",
    operation_id="deleteSweep",
    status_code=204,
    responses=problem_responses(404, 409),
    summary="Delete a sweep that has ended",
)
def delete_sweep(sweep_id: SweepId, services: ServicesDep, caller: Writer) -> None:
    """With its jobs and all that they made. 409 while a job of it has not ended: cancel it first."""
    with services.database.write() as session:
        sweeps.delete(session, sweep_id, owner=caller.owner_filter)


@contextmanager
def _blaming_base() -> Iterator[None]:
    """What is wrong with a job is wrong with ``base``."""
    try:
        yield
    except PermanentError as refusal:
        refusal.param = f"base.{refusal.param}" if refusal.param else None
        raise


def _read(services: Services, sweep_id: str, owner: str | None) -> tuple[models.Sweep, dict[Combination, models.Job]]:
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


def _figure(
    request: Request, read: tuple[models.Sweep, dict[Combination, models.Job]], kind: sweep_plot.Kind
) -> Response:
    sweep, jobs = read
    table = results.build_table(Grid.from_row(sweep), jobs)
    body = sweep_plot.draw(table, _caption(sweep, jobs), kind)
    headers = {
        "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",  # an SVG is a document to a browser
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
