"""``espalier jobs``, ``cancel``, ``pause``, ``resume``, ``retry``, ``delete``, ``download``, ``logs``: jobs that exist already."""

import json
import re
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli import options
from espalier.cli.output import notify, print_json
from espalier.cli.progress import fetching
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from rich.table import Table

    from espalier.client._sync.client import Client
    from espalier.client.models import Event, Job

_DIGEST = re.compile(r"[0-9a-f]{40,128}")
_PAGE = 100
_PATIENCE_SECONDS = 300.0
"""How long a service may be away while its log is followed."""


@with_service
def list_jobs(
    context: ServiceContext,
    status: Annotated[str | None, typer.Option(help="Only jobs in this state, e.g. running.")] = None,
    task: Annotated[str | None, typer.Option(help="Only jobs for this task, by name.")] = None,
    model: Annotated[str | None, typer.Option(help="Only jobs of this model.")] = None,
    method: Annotated[str | None, typer.Option(help="Only jobs by this method.")] = None,
    sweep: Annotated[str | None, typer.Option(help="Only jobs of this sweep.")] = None,
    kind: Annotated[str | None, typer.Option(help="export: those that export the mask of another job.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="KEY=VALUE", help="Only jobs with this pair; may be repeated."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 20,
) -> None:
    """List jobs, newest first.

    Example: espalier jobs --status running --metadata team=nlp
    """
    pairs = options.pairs(metadata, "--metadata")
    with context.client() as client:
        matching = client.list(
            limit=min(limit, _PAGE), status=status, task=task, model=model, method=method, sweep=sweep, kind=kind,
            metadata=pairs,
        )  # fmt: skip
        found = list(islice(matching, limit))
        if not any((status, task, model, method, sweep, kind, pairs)):  # all jobs: exports wait in the same queue
            exports = islice(client.list(limit=min(limit, _PAGE), kind="export"), limit)
            found = sorted(
                [*found, *exports], key=lambda job: (job.created_at is not None, job.created_at), reverse=True
            )
            found = found[:limit]
        waits = {} if context.as_json else _waits(client, found)
    context.print_list(found, lambda: _table(found, waits))


@with_service
def cancel(context: ServiceContext, job: options.JobId) -> None:
    """Cancel a job; one that is running ends within seconds.

    Example: espalier cancel job_01jd3
    """
    with context.client() as client:
        cancelled = client.cancel(job)
    context.print_resource(cancelled, f"{cancelled.id} {_format_request(cancelled, 'cancelled')}")


@with_service
def pause(context: ServiceContext, job: options.JobId) -> None:
    """Pause a job; one that is running leaves a checkpoint and its device within seconds.

    Example: espalier pause job_01jd3
    """
    with context.client() as client:
        paused = client.pause(job)
    context.print_resource(paused, f"{paused.id} {_format_request(paused, 'paused')}")


@with_service
def resume(context: ServiceContext, job: options.JobId) -> None:
    """Queue a paused job again; it goes on from its checkpoint.

    Example: espalier resume job_01jd3
    """
    with context.client() as client:
        resumed = client.resume(job)
    context.print_resource(resumed, f"{resumed.id} {resumed.status}")


@with_service
def retry(context: ServiceContext, job: options.JobId) -> None:
    """Submit a failed or cancelled job again and print the new job's id.

    Example: espalier retry job_01jd3
    """
    with context.client() as client:
        again = client.retry(job)
    context.print_resource(again, again.id)


@with_service
def delete(context: ServiceContext, job: options.JobId) -> None:
    """Delete a job that has ended, with everything it made.

    Example: espalier delete job_01jd3
    """
    with context.client() as client:
        client.delete(job)
    context.print_line(f"{job} deleted", {"id": job, "deleted": True})


@with_service
def download(
    context: ServiceContext,
    job: options.JobId,
    name: Annotated[str, typer.Argument(help="Which artifact.")] = "mask.safetensors",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File or folder; default: its name, here.")
    ] = None,
) -> None:
    """Download what a job has made; goes on where an interrupted download stopped.

    Example: espalier download job_01jd3 mask.safetensors -o sst2.safetensors
    """
    with context.client() as client, fetching(name) as report:
        path = client.download(job, name, output, report=report)
    size = path.stat().st_size
    notify(f"{size} bytes, sha-256 verified")
    context.print_line(str(path), {"path": str(path), "bytes": size})


@with_service
def logs(
    context: ServiceContext,
    job: options.JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
) -> None:
    """Print a job's log; with --json an event per line. Following survives a restart of the service.

    Example: espalier logs job_01jd3 --follow
    """
    with context.client() as client:
        for event in client.events(job, live=follow, patience=_PATIENCE_SECONDS):
            if context.as_json:
                print_json(event.model_dump_json())
            else:
                print(format_event(event), flush=True)


def format_event(event: "Event") -> str:
    """An event as the service has it at ``…/log``."""
    shown = {name: value for name, value in event.data.items() if name not in ("event", "time", "message")}
    data: dict[str, Any] = _readable(shown)
    message = str(event.data.get("message") or "")
    words = [message] if message else []
    words += [
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in data.items()
    ]
    time = f"{event.created_at:%Y-%m-%dT%H:%M:%SZ}" if event.created_at is not None else ""
    text = " ".join(words).replace("\r", "").replace("\n", "\n    ")
    return f"{time}  {event.attempt}  {event.type:<11} {text}"


def _readable(value: Any) -> Any:
    """Numbers with four digits, digests with twelve: the whole ones are in the event."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, str):
        return f"{value[:12]}…" if _DIGEST.fullmatch(value) else value
    if isinstance(value, dict):
        return {name: _readable(each) for name, each in value.items()}
    return [_readable(each) for each in value] if isinstance(value, list) else value


def _format_request(job: "Job", wanted: str) -> str:
    return job.status if job.status != "running" else f"is running and will be {wanted} in a moment"


def _waits(client: "Client", found: "list[Job]") -> dict[str, str]:
    """Id of a queued job → what it waits for, as far as the first page of the queue shows it."""
    queued = [job for job in found if job.status == "queued"]
    if not queued:
        return {}
    ahead = [
        job
        for status in ("running", "queued")
        for kind in ("pruning", "export")
        for job in client.page(limit=_PAGE, status=status, kind=kind).data
    ]
    return {job.id: waits_for(job, ahead) for job in queued}


def waits_for(job: "Job", others: "list[Job]") -> str:
    """``behind 2 jobs and 1 export; asks for 8 devices``; jobs with a higher priority and older ones are taken first."""
    before = [other for other in others if other.id != job.id and _goes_first(other, job)]
    exports = sum(_field(other, "export_of") is not None for other in before)
    counts = ((len(before) - exports, "job"), (exports, "export"))
    words = " and ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count)
    devices = job.spec.get("devices") or 1
    asks = f"asks for {devices} devices" if isinstance(devices, int) and devices > 1 else ""
    return "; ".join(filter(None, (f"behind {words}" if words else "", asks)))


def _goes_first(other: "Job", job: "Job") -> bool:
    if other.status == "running":
        return True
    mine, theirs = _field(job, "priority") or 0, _field(other, "priority") or 0
    return theirs > mine or (theirs == mine and str(other.created_at) < str(job.created_at))


def _field(job: "Job", name: str) -> Any:
    """A field that older services do not send."""
    return getattr(job, name, None)


def _table(found: "list[Job]", waits: dict[str, str]) -> "Table":
    from rich.table import Column, Table

    table = Table(
        Column("id", no_wrap=True), "status", "model", "task", "method", "sparsity", "step", "created", box=None
    )
    for job in found:
        table.add_row(*_row(job, waits.get(job.id, "")))
    return table


def _row(job: "Job", waits: str) -> list[str]:
    """The cells of one job."""
    progress = job.progress
    step = f"{progress.step or 0}/{progress.total_steps}" if progress is not None and progress.total_steps else ""
    task = job.spec.get("task", "")
    return [
        job.id,
        ", ".join(filter(None, (job.status, waits, _warned(job)))),
        str(job.spec.get("model", "")),
        task if isinstance(task, str) else "custom",
        "export" if _field(job, "export_of") is not None else str(job.spec.get("method", "")),
        str(job.spec.get("sparsity", "")),
        step,
        _moment(job.created_at),
    ]


def _warned(job: "Job") -> str:
    count = len(job.warnings)
    return f"{count} warning{'s' if count > 1 else ''}" if count else ""


def _moment(time: datetime | None) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M") if time is not None else ""
