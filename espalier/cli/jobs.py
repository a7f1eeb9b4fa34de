"""``espalier jobs``, ``cancel``, ``pause``, ``resume``, ``retry``, ``download``: what exists, its end, its fruit."""

import sys
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli import options
from espalier.cli.output import job_json, say

if TYPE_CHECKING:
    from espalier.resources import Job


_PIPED_WIDTH = 200
"""Characters per line where no terminal says how many it has; wide enough for every row to stay on one."""


def list_jobs(
    status: Annotated[str | None, typer.Option(help="Only jobs in this state, e.g. running.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 20,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """List jobs, newest first.

    Example: espalier jobs --status running
    """
    with options.client(url, api_key) as client:
        found = list(islice(client.list(status=status), limit))
    if as_json:
        print("[" + ",\n".join(job_json(job) for job in found) + "]")
        return
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(
        Column("id", no_wrap=True), "status", "model", "task", "method", "sparsity", "step", "created", box=None
    )
    for job in found:
        table.add_row(*_row(job))
    Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(table)


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


def download(
    job: options.JobId,
    name: Annotated[str, typer.Argument(help="Which artifact.")] = "mask.safetensors",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File or folder; default: its name, here.")
    ] = None,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
) -> None:
    """Download what a job has made; goes on where an interrupted download stopped.

    Example: espalier download job_01jd3 mask.safetensors -o sst2.safetensors
    """
    with options.client(url, api_key) as client:
        path = client.download(job, name, output)
    say(f"{path.stat().st_size} bytes, sha-256 verified")
    print(path)


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
