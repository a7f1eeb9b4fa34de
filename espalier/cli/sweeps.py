"""``espalier sweep``: a grid of jobs submitted as one, its table of results and its plot.

``espalier sweep FILE`` is short for ``espalier sweep submit FILE``.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from espalier.cli import options
from espalier.cli.ids import SweepId
from espalier.cli.next_steps import service_options
from espalier.cli.output import format_list, notify, print_json, print_table
from espalier.cli.service_context import ServiceContext, with_service
from espalier.errors import JobNotSucceededError

if TYPE_CHECKING:
    from rich.console import Group

    from espalier.client._sync.client import Client
    from espalier.client.models import Sweep


class _Submitting(TyperGroup):
    """Treats arguments that are not a command of the group as those of ``submit``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["submit", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Submitting, help="Submit a grid of methods, sparsities and seeds as one; show its table and figure.")
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Show the table until every job has ended.")]


@app.command()
@with_service
def submit(
    context: ServiceContext,
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="JSON file with base, methods, sparsities, seeds; options override it."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of all jobs.")] = None,
    task: Annotated[str | None, typer.Option(help="Task of all jobs, e.g. sst2.")] = None,
    methods: Annotated[
        str | None, typer.Option(help="Separated by commas, e.g. smp-s,magnitude; espalier methods lists them.")
    ] = None,
    sparsities: Annotated[str | None, typer.Option(help="Separated by commas, e.g. 0.5,0.9,0.97.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Separated by commas, e.g. 1,2,3.")] = None,
    baseline: Annotated[float | None, typer.Option(help="Metric of the dense model, for the plot.")] = None,
    fields: options.Fields = None,
    sparsity_by: options.SparsityBy = None,
    watch: Watch = False,
) -> None:
    """Submit a sweep and print its id.

    Example: espalier sweep submit --model bert-base-uncased --task sst2 --methods smp-s,magnitude --sparsities 0.5,0.9 --watch
    """
    body = _read(file)
    base: dict[str, Any] = body.pop("base", {})
    axes = {"methods": _listed(methods, str), "sparsities": _listed(sparsities, float), "seeds": _listed(seeds, int)}
    body |= {axis: values for axis, values in axes.items() if values is not None}
    body |= {"baseline": baseline} if baseline is not None else {}
    given = {"model": model, "task": options.value(task) if task is not None else None}
    base |= {name: value for name, value in given.items() if value is not None} | options.fields_from(fields)
    base |= options.own_sparsities(sparsity_by)
    if "baseline" in base and "baseline" in body:
        raise typer.BadParameter(
            "--baseline is the metric of a dense model that you trained; leave out one of --baseline and baseline=true"
        )
    if "sparsities" not in body:
        raise typer.BadParameter("a sweep needs at least a model, a task and --sparsities")
    with context.client() as client:
        sweep = client.sweep(**(base | body))
        if watch:
            notify(sweep.id)
            sweep = _follow(context, client, sweep.id)
    context.print_resource(sweep, sweep.id)
    if watch:
        _require_success(sweep)


@app.command("list")
@with_service
def list_sweeps(context: ServiceContext) -> None:
    """List sweeps, newest first.

    Example: espalier sweep list
    """
    with context.client() as client:
        found = list(client.sweeps())
    if context.as_json:
        print(format_list(found))
    for sweep in found if not context.as_json else []:
        print(sweep.id, sweep.status, f"{sweep.progress:.0%}", sweep.base.get("model", ""), _counts(sweep), sep="  ")


@app.command()
@with_service
def show(
    context: ServiceContext,
    sweep: SweepId,
    watch: Watch = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a line per job, as CSV.")] = False,
) -> None:
    """Show the results so far: means over the seeds.

    Example: espalier sweep show swp_01jd3 --watch
    """
    with context.client() as client:
        if as_csv:
            print(client.sweep_csv(sweep), end="")
            return
        found = _follow(context, client, sweep) if watch else client.get_sweep(sweep)
    if context.as_json:
        print_json(found.model_dump_json(indent=2))
    elif not watch:
        print_table(_drawn(found))
    if watch:
        _require_success(found)


@app.command()
@with_service
def plot(
    context: ServiceContext,
    sweep: SweepId,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .svg or .png.")] = Path("sweep.png"),
) -> None:
    """Draw remaining weights against the metric, a line per method.

    Example: espalier sweep plot swp_01jd3 -o sst2.svg
    """
    if output.suffix.lower() not in (".svg", ".png"):
        raise typer.BadParameter(f"{output} must end in .svg or .png", param_hint="--output")
    with context.client() as client:
        path = client.sweep_plot(sweep, output)
    context.print_line(str(path), {"path": str(path), "bytes": path.stat().st_size})


@app.command()
@with_service
def cancel(context: ServiceContext, sweep: SweepId) -> None:
    """Cancel every job of a sweep that has not ended.

    Example: espalier sweep cancel swp_01jd3
    """
    with context.client() as client:
        found = client.cancel_sweep(sweep)
    context.print_resource(found, f"{found.id}  {_counts(found)}")


@app.command()
@with_service
def delete(context: ServiceContext, sweep: SweepId) -> None:
    """Delete a sweep that has ended, with its jobs and all their files.

    Example: espalier sweep delete swp_01jd3
    """
    with context.client() as client:
        client.delete_sweep(sweep)
    context.print_line(f"{sweep} deleted", {"id": sweep, "deleted": True})


def _follow(context: ServiceContext, client: "Client", sweep_id: str) -> "Sweep":
    """Draw the table until every job has ended; an interrupt prints how to resume watching (typer.Exit, 130)."""
    from rich.console import Console
    from rich.live import Live

    try:
        with Live(console=Console(stderr=True), auto_refresh=False) as live:
            for seen in client.watch_sweep(sweep_id):
                live.update(_drawn(seen), refresh=True)
    except KeyboardInterrupt:
        notify(f"{sweep_id} continues without this terminal")
        notify(f"  watch:    espalier sweep show {sweep_id} --watch{service_options(context)}")
        notify(f"  stop:     espalier sweep cancel {sweep_id}{service_options(context)}")
        raise typer.Exit(130) from None
    return seen


def _drawn(sweep: "Sweep") -> "Group":
    """The means as a table, with the progress of the sweep below it."""
    from rich.console import Group
    from rich.table import Column, Table

    results = sweep.results
    name = results.metric if results is not None and results.metric else "metric"
    right = [Column(header, justify="right") for header in ("sparsity", "seeds", name, "worst", "best", "remaining", "mask")]
    table = Table(Column("method", no_wrap=True), *right, box=None)
    for mean in results.means if results is not None else []:
        table.add_row(
            mean.method,
            f"{mean.sparsity:g}",
            f"{mean.runs}/{len(sweep.seeds)}",
            *("" if value is None else f"{value:.4f}" for value in (mean.metric, mean.lowest, mean.highest)),
            "" if mean.remaining is None else f"{mean.remaining:.1%}",
            "" if mean.compact_mask_bytes is None else f"{mean.compact_mask_bytes / 1e6:.2f} MB",
        )
    return Group(table, f"{sweep.progress:.0%} done: {_counts(sweep)}")


def _counts(sweep: "Sweep") -> str:
    return ", ".join(f"{count} {status}" for status, count in sweep.jobs.items() if count)


def _require_success(sweep: "Sweep") -> None:
    lost = sum(count for status, count in sweep.jobs.items() if status != "succeeded")
    if lost:
        raise JobNotSucceededError(f"{lost} jobs of {sweep.id} have not succeeded: {_counts(sweep)}")


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    body = options.json_file(file, "--spec")
    if not isinstance(body.get("base", {}), dict):
        raise typer.BadParameter(f"{file}: base must be a JSON object", param_hint="--spec")
    return body


def _listed(text: str | None, kind: type) -> list[Any] | None:
    if text is None:
        return None
    try:
        return [kind(part.strip()) for part in text.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} must be values separated by commas") from error
