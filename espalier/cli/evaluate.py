"""``espalier evaluate`` and ``espalier evaluations``: the mask of a finished job on other rows, evaluated by the service."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli.ids import JobId
from espalier.cli.next_steps import follow_job
from espalier.cli.output import format_outcome, format_warnings, notify
from espalier.cli.service_context import ServiceContext, with_service
from espalier.client.job_words import evaluated_rows, main_metric, result_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from espalier.client.models import Job


@with_service
def evaluate(
    context: ServiceContext,
    job: JobId,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Another data set with the task's columns and labels: the id of an uploaded one, a folder of the service or one "
            "on the hub."
        ),
    ] = None,
    config: Annotated[str | None, typer.Option(help="Configuration of a hub data set.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Default: the rows that the training validated on; of another data set validation.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Use only the first rows.")] = None,
    dense: Annotated[bool, typer.Option("--dense", help="Evaluate the dense model as well, zero-shot.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Print the id of the evaluation job, and do not wait.")] = False,
) -> None:
    """Evaluate the mask of a finished job, without a new training, and print the metrics.

    Example: espalier evaluate job_01jd3 --split test --dense
    """
    given = {"dataset": dataset, "config": config, "split": split, "rows": rows, "dense": dense or None}
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    with context.client() as client:
        made = client.evaluate(job, **fields)
        if not detach:
            notify(made.id)
            made = follow_job(context, client, made.id)
    if not detach:
        for line in format_warnings(made.warnings):
            notify(line)
    if detach or made.status != "succeeded":
        context.print_resource(made, made.id if detach else format_outcome(made))
    else:
        context.print_resource(made, _metrics(made))
    if not detach and made.status != "succeeded":
        raise typer.Exit(1)


@with_service
def evaluations(context: ServiceContext, job: JobId) -> None:
    """List the evaluations of a job's mask, newest first.

    Example: espalier evaluations job_01jd3
    """
    with context.client() as client:
        found = list(client.evaluations(job))
    context.print_list(found, lambda: _table(found))


def _metrics(made: "Job") -> str:
    """A line for each metric, with that of the dense model before it where it was asked for, and the number of rows."""
    result = result_of(made)
    before = result.get("before") or {}
    lines = [f"{name}\t{f'{before[name]:.4f} → ' if name in before else ''}{value:.4f}" for name, value in result["final"].items()]
    return "\n".join([*lines, f"rows\t{result['rows']}"])


def _table(found: "Sequence[Job]") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("job", no_wrap=True), "status", "on", Column("rows", justify="right"), "metric", box=None)
    for each in found:
        rows = result_of(each).get("rows")
        table.add_row(
            each.id, each.status, evaluated_rows(each.evaluation), "" if rows is None else f"{rows:,}", str(main_metric(each) or "")
        )
    return table
