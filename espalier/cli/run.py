"""``espalier run`` and ``espalier watch``: follow a job at a progress bar until it has ended."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli import options
from espalier.cli.output import job_json, say, verdict
from espalier.cli.progress import fetching, follow

if TYPE_CHECKING:
    from espalier.client.models import Job

Output = Annotated[
    Path, typer.Option("--output", "-o", help="File or folder for the mask; default: mask.safetensors, here.")
]


def run(
    model: options.Model = None,
    task: options.Task = None,
    sparsity: options.Sparsity = None,
    method: options.Method = None,
    fields: options.Fields = None,
    spec_file: options.SpecFile = None,
    output: Output = Path("mask.safetensors"),
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Submit a job, watch it, download the mask: all in one. Interrupting it leaves the job running.

    Example: espalier run bert-base-uncased sst2 --sparsity 0.9 -o sst2.safetensors
    """
    spec = options.spec_from(model, task, sparsity, method, fields, spec_file)
    with options.client(url, api_key) as client:
        job = client.submit(**spec)
        say(f"submitted {job.id}")
        job = follow(client, job.id)
        if job.status == "succeeded":
            with fetching("mask") as report:
                path = client.download(job, path=output, report=report)
            say(f"mask: {path} ({path.stat().st_size} bytes, sha-256 verified)")
    _end(job, as_json)


def watch(
    job: options.JobId,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Watch a job until it has ended. Survives a restart of the service.

    Example: espalier watch job_01jd3
    """
    with options.client(url, api_key) as client:
        ended = follow(client, job)
    _end(ended, as_json)


def _end(job: "Job", as_json: bool) -> None:
    """Print how the job ended; exit code 1 unless it succeeded."""
    say(verdict(job))
    if as_json:
        print(job_json(job))
    if job.status != "succeeded":
        raise typer.Exit(1)
