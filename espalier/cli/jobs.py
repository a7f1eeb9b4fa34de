"""``espalier jobs``, ``cancel``, ``pause``, ``resume``, ``retry``, ``delete``, ``download``: what exists, its end, its fruit."""

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli import options
from espalier.cli.output import job_json, list_json, said_or_json, say, show
from espalier.cli.progress import fetching

if TYPE_CHECKING:
    from espalier.client.models import Job


_PAGE = 100


def list_jobs(
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
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: espalier jobs --status running --metadata team=nlp
    """
    pairs = options.pairs(metadata, "--metadata")
    with options.client(url, api_key) as client:
        matching = client.list(
            limit=min(limit, _PAGE), status=status, task=task, model=model, method=method, sweep=sweep, kind=kind,
            metadata=pairs,
        )  # fmt: skip
        found = list(islice(matching, limit))
    if as_json:
        print(list_json(found))
        return
    from rich.table import Column, Table

    table = Table(
        Column("id", no_wrap=True), "status", "model", "task", "method", "sparsity", "step", "created", box=None
    )
    for job in found:
        table.add_row(*_row(job))
    show(table)


def cancel(
    job: options.JobId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Cancel a job; one that is running ends within seconds.

    Example: espalier cancel job_01jd3
    """
    with options.client(url, api_key) as client:
        cancelled = client.cancel(job)
    print(job_json(cancelled) if as_json else f"{cancelled.id} {_wish(cancelled, 'cancelled')}")


def pause(
    job: options.JobId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Pause a job; one that is running leaves a checkpoint and its device within seconds.

    Example: espalier pause job_01jd3
    """
    with options.client(url, api_key) as client:
        paused = client.pause(job)
    print(job_json(paused) if as_json else f"{paused.id} {_wish(paused, 'paused')}")


def resume(
    job: options.JobId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Queue a paused job again; it goes on from its checkpoint.

    Example: espalier resume job_01jd3
    """
    with options.client(url, api_key) as client:
        resumed = client.resume(job)
    print(job_json(resumed) if as_json else f"{resumed.id} {resumed.status}")


def retry(
    job: options.JobId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Submit a failed or cancelled job again and print the new job's id.

    Example: espalier retry job_01jd3
    """
    with options.client(url, api_key) as client:
        again = client.retry(job)
    print(job_json(again) if as_json else again.id)


def delete(
    job: options.JobId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Delete a job that has ended, with everything it made.

    Example: espalier delete job_01jd3
    """
    with options.client(url, api_key) as client:
        client.delete(job)
    said_or_json(f"{job} deleted", {"id": job, "deleted": True}, as_json)


def download(
    job: options.JobId,
    name: Annotated[str, typer.Argument(help="Which artifact.")] = "mask.safetensors",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File or folder; default: its name, here.")
    ] = None,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Download what a job has made; goes on where an interrupted download stopped.

    Example: espalier download job_01jd3 mask.safetensors -o sst2.safetensors
    """
    with options.client(url, api_key) as client, fetching(name) as report:
        path = client.download(job, name, output, report=report)
    size = path.stat().st_size
    say(f"{size} bytes, sha-256 verified")
    said_or_json(str(path), {"path": str(path), "bytes": size}, as_json)


def _wish(job: "Job", wanted: str) -> str:
    return job.status if job.status != "running" else f"is running and will be {wanted} in a moment"


def _row(job: "Job") -> list[str]:
    """The cells of one job."""
    progress = job.progress
    step = f"{progress.step or 0}/{progress.total_steps}" if progress is not None and progress.total_steps else ""
    task = job.spec.get("task", "")
    return [
        job.id,
        job.status,
        str(job.spec.get("model", "")),
        task if isinstance(task, str) else "custom",
        str(job.spec.get("method", "")),
        str(job.spec.get("sparsity", "")),
        step,
        _moment(job.created_at),
    ]


def _moment(time: datetime | None) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M") if time is not None else ""
