"""``espalier cancel``, ``pause``, ``resume``, ``retry``, ``delete``, ``download``, ``logs``: control of existing jobs."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli.ids import JobId
from espalier.cli.output import notify, print_json
from espalier.cli.progress import fetching
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from espalier.client.models import Event, Job

_DIGEST = re.compile(r"[0-9a-f]{40,128}")
_PATIENCE_SECONDS = 300.0
"""Seconds that a service may be unreachable while its log is followed."""


@with_service
def cancel(context: ServiceContext, job: JobId) -> None:
    """Cancel a job; one that is running ends within seconds.

    Example: espalier cancel job_01jd3
    """
    with context.client() as client:
        cancelled = client.cancel(job)
    context.print_resource(cancelled, f"{cancelled.id} {_format_request(cancelled, 'cancelled')}")


@with_service
def pause(context: ServiceContext, job: JobId) -> None:
    """Pause a job; one that is running leaves a checkpoint and its device within seconds.

    Example: espalier pause job_01jd3
    """
    with context.client() as client:
        paused = client.pause(job)
    context.print_resource(paused, f"{paused.id} {_format_request(paused, 'paused')}")


@with_service
def resume(context: ServiceContext, job: JobId) -> None:
    """Queue a paused job again; it continues from its checkpoint.

    Example: espalier resume job_01jd3
    """
    with context.client() as client:
        resumed = client.resume(job)
    context.print_resource(resumed, f"{resumed.id} {resumed.status}")


@with_service
def retry(context: ServiceContext, job: JobId) -> None:
    """Submit a failed or cancelled job again and print the new job's id.

    Example: espalier retry job_01jd3
    """
    with context.client() as client:
        again = client.retry(job)
    context.print_resource(again, again.id)


@with_service
def delete(context: ServiceContext, job: JobId) -> None:
    """Delete a job that has ended, with all its files.

    Example: espalier delete job_01jd3
    """
    with context.client() as client:
        client.delete(job)
    context.print_line(f"{job} deleted", {"id": job, "deleted": True})


@with_service
def download(
    context: ServiceContext,
    job: JobId,
    name: Annotated[str, typer.Argument(help="Which artifact.")] = "mask.safetensors",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File or folder; default: its name in the current folder.")
    ] = None,
) -> None:
    """Download a file of a job; an interrupted download is resumed.

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
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow the log until the job has ended.")] = False,
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
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}" for name, value in data.items()
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
