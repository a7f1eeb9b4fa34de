"""``espalier run``, ``submit`` and ``watch``: send a job, and follow it at a progress bar until it has ended."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli import options
from espalier.cli.output import format_outcome, format_warnings, notify, print_json
from espalier.cli.progress import fetching, follow
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from espalier.client.models import Job

Output = Annotated[
    Path, typer.Option("--output", "-o", help="File or folder for the mask; default: mask.safetensors, here.")
]


@with_service
def run(
    context: ServiceContext,
    model: options.Model = None,
    task: options.Task = None,
    sparsity: options.Sparsity = None,
    method: options.Method = None,
    fields: options.Fields = None,
    spec_file: options.SpecFile = None,
    output: Output = Path("mask.safetensors"),
) -> None:
    """Submit a job, watch it, download the mask: all in one. Interrupting it leaves the job running.

    Example: espalier run bert-base-uncased sst2 --sparsity 0.9 -o sst2.safetensors
    """
    spec = options.spec_from(model, task, sparsity, method, fields, spec_file)
    with context.client() as client:
        job = client.submit(**spec)
        notify(f"submitted {job.id}")
        for line in format_warnings(job.warnings):
            notify(line)
        job = follow(client, job.id)
        if job.status == "succeeded":
            with fetching("mask") as report:
                path = client.download(job, path=output, report=report)
            notify(f"mask: {path} ({path.stat().st_size} bytes, sha-256 verified)")
    _end(context, job)


@with_service
def submit(
    context: ServiceContext,
    model: options.Model = None,
    task: options.Task = None,
    sparsity: options.Sparsity = None,
    method: options.Method = None,
    fields: options.Fields = None,
    spec_file: options.SpecFile = None,
) -> None:
    """Submit a job and print its id.

    Example: espalier submit bert-base-uncased sst2 --sparsity 0.9 --set epochs=2
    """
    spec = options.spec_from(model, task, sparsity, method, fields, spec_file)
    with context.client() as client:
        job = client.submit(**spec)
    for line in format_warnings(job.warnings):
        notify(line)
    context.print_resource(job, job.id)


@with_service
def watch(context: ServiceContext, job: options.JobId) -> None:
    """Watch a job until it has ended. Survives a restart of the service.

    Example: espalier watch job_01jd3
    """
    with context.client() as client:
        ended = follow(client, job)
    _end(context, ended)


def _end(context: ServiceContext, job: "Job") -> None:
    """Print how the job ended; exit code 1 unless it succeeded."""
    notify(format_outcome(job))
    for line in format_warnings(job.warnings):
        notify(line)
    if context.as_json:
        print_json(job.model_dump_json(indent=2))
    if job.status != "succeeded":
        raise typer.Exit(1)
