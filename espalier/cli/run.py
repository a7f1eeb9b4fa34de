"""``espalier run``, ``submit`` and ``watch``: send a job, and follow it at a progress bar until it has ended."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli import options
from espalier.cli.ids import JobId, StartJob
from espalier.cli.job_show import remedy
from espalier.cli.job_spec import Label, Text, rows_of, submit_job
from espalier.cli.job_text import clock, metric, metric_name
from espalier.cli.next_steps import follow_job, next_lines
from espalier.cli.output import format_outcome, format_warnings, notify, print_json
from espalier.cli.progress import fetching
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from espalier.client.models import DryRun, Job, JobWarning

_BASIS = {
    "same_model_and_task": "by runs of the same model and task",
    "same_model": "by runs of the same model",
    "model_size": "by runs of other models, scaled by size",
}
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check the job and print its resolved spec and estimates; submit nothing.")
]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="File or folder for the mask; default: mask.safetensors in the current folder.")
]


@with_service
def run(
    context: ServiceContext,
    model: options.Model = None,
    task: options.Task = None,
    sparsity: options.Sparsity = None,
    sparsity_by: options.SparsityBy = None,
    method: options.Method = None,
    baseline: options.Baseline = False,
    start: StartJob = None,
    fields: options.Fields = None,
    spec_file: options.SpecFile = None,
    output: Output = Path("mask.safetensors"),
    text: Text = None,
    label: Label = None,
    dry_run: DryRunOption = False,
) -> None:
    """Submit a job, watch it and download the mask. Interrupting it leaves the job running. In place of a task a file
    of rows (.csv, .jsonl, .parquet) may be given: it is split, uploaded and made a task.

    Example: espalier run bert-base-uncased tickets.csv --text message --label topic -o tickets.safetensors
    """
    spec = _spec(options.spec_from(model, task, sparsity, method, fields, spec_file, sparsity_by), start, baseline=baseline)
    rows = rows_of(task, text, label, dry_run=dry_run)
    with context.client() as client:
        if dry_run:
            _preview(context, client.dry_run(**spec))
            return
        job = submit_job(client, spec, rows)
        notify(f"submitted {job.id}")
        shown = job.warnings
        for line in format_warnings(shown):
            notify(line)
        job = follow_job(context, client, job.id)
        if job.status == "succeeded":
            with fetching("mask") as report:
                path = client.download(job, path=output, report=report)
            notify(f"mask: {path} ({path.stat().st_size} bytes, sha-256 verified)")
    _end(context, job, shown)


@with_service
def submit(
    context: ServiceContext,
    model: options.Model = None,
    task: options.Task = None,
    sparsity: options.Sparsity = None,
    sparsity_by: options.SparsityBy = None,
    method: options.Method = None,
    baseline: options.Baseline = False,
    start: StartJob = None,
    fields: options.Fields = None,
    spec_file: options.SpecFile = None,
    text: Text = None,
    label: Label = None,
    dry_run: DryRunOption = False,
) -> None:
    """Submit a job and print its id; of a task by name or of a file of rows, as espalier run takes them.

    Example: espalier submit bert-base-uncased sst2 --sparsity 0.9 --set epochs=2
    """
    spec = _spec(options.spec_from(model, task, sparsity, method, fields, spec_file, sparsity_by), start, baseline=baseline)
    rows = rows_of(task, text, label, dry_run=dry_run)
    with context.client() as client:
        if dry_run:
            _preview(context, client.dry_run(**spec))
            return
        job = submit_job(client, spec, rows)
    for line in format_warnings(job.warnings):
        notify(line)
    context.print_resource(job, job.id)


@with_service
def watch(context: ServiceContext, job: JobId) -> None:
    """Watch a job until it has ended. Survives a restart of the service.

    Example: espalier watch job_01jd3
    """
    with context.client() as client:
        ended = follow_job(context, client, job)
    _end(context, ended)


def _spec(spec: dict[str, Any], start: str | None, *, baseline: bool) -> dict[str, Any]:
    return spec | ({"init_from": start} if start is not None else {}) | ({"baseline": True} if baseline else {})


def _preview(context: ServiceContext, found: "DryRun") -> None:
    """Print the result of a dry run line by line; warnings on standard error."""
    context.print_resource(found, "\n".join(preview_lines(found)))
    for line in format_warnings(found.warnings):
        notify(line)


def preview_lines(found: "DryRun") -> list[str]:
    """Lines on the result of a dry run, without its warnings."""
    spec, place, time = found.spec, found.queue, found.estimate
    unknown = "not known before the run"
    steps = unknown if found.steps is None else f"{found.steps} of {found.rows_per_step} rows, {found.rows} rows in all"
    drawn = f", drawn from {found.train_rows}" if found.train_rows is not None and found.steps else ""
    task = spec.get("task")
    shown = {
        "job": f"{spec.get('model')}, {task if isinstance(task, str) else 'a custom task'}, {spec.get('method')}, "
        f"sparsity {spec.get('sparsity')}",
        "steps": steps + drawn + (", and as many steps of the dense model" if found.baseline_steps else ""),
        "weights": f"{found.masked_weights} masked" if found.masked_weights is not None else unknown,
        **_by_pattern(found),
        "time": f"about {clock(time.seconds)} ({_BASIS.get(time.basis or '', 'finished runs')}, {time.jobs} of them)"
        if time is not None
        else "not known: there are no comparable finished runs",
        "queue": f"{place.ahead} ahead, {place.running} running, {place.slots} slots of {place.workers} workers",
        "checked": ", ".join(found.checks),
    }
    return [*(f"{name:<8} {text}" for name, text in shown.items()), "nothing was created"]


def _by_pattern(found: "DryRun") -> dict[str, str]:
    """Which matrices have a sparsity of their own."""
    if found.sparsity_by is None:
        return {"patterns": "which matrices they name is not known before the run"}
    lines = [
        f"{share.pattern or 'the others'}: sparsity {share.sparsity:.4g}, {len(share.matrices)} matrices, {share.weights} weights"
        for share in found.sparsity_by
    ]
    return {"patterns": "\n         ".join(lines)} if lines else {}


def _end(context: ServiceContext, job: "Job", shown: "Sequence[JobWarning]" = ()) -> None:
    """Print how the job ended and what comes next; exit code 1 unless it succeeded. ``shown``: warnings that were printed
    before."""
    reached = " ".join(filter(None, (metric_name(job), metric(job)))) if job.status == "succeeded" else ""
    notify(": ".join(filter(None, (format_outcome(job), reached))))
    if job.status == "failed":
        notify(f"remedy: {remedy(job)}")
    for line in format_warnings([warning for warning in job.warnings if warning not in shown]):
        notify(line)
    for line in next_lines(context, job):
        notify(line)
    if context.as_json:
        print_json(job.model_dump_json(indent=2))
    if job.status != "succeeded":
        raise typer.Exit(1)
