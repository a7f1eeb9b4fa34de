"""``espalier masks``: upload mask files that jobs start from, list and delete them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli.ids import MaskId
from espalier.cli.output import notify
from espalier.cli.progress import fetching
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from rich.table import Table

    from espalier.client.model_entries import UploadedMask

app = typer.Typer(help="Upload masks that jobs start from, list and delete them.", no_args_is_help=True)


@app.command()
@with_service
def push(
    context: ServiceContext,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="mask.safetensors or mask.espalier.")],
    name: Annotated[str | None, typer.Option(help="What you call it; default the file's name.")] = None,
) -> None:
    """Upload a mask and print its id, which a job starts from (espalier run --from). The same file again is the same mask.

    Example: espalier masks push mask.safetensors --name sst2-90
    """
    with context.client() as client, fetching(file.name) as report:
        made = client.upload_mask(file, name=name or file.name, report=report)
    notify(f"{made.method} on {made.task}, for {made.base_model}, {made.kept / made.weights:.1%} of {made.weights:,} weights kept")
    context.print_resource(made, made.id)


@app.command("list")
@with_service
def list_masks(context: ServiceContext) -> None:
    """List uploaded masks, newest first; those of jobs are downloaded with espalier download.

    Example: espalier masks list
    """
    with context.client() as client:
        found = [*client.uploaded_masks()]
    context.print_list(found, lambda: _table(found))


@app.command()
@with_service
def delete(context: ServiceContext, mask: MaskId) -> None:
    """Delete an uploaded mask; refused while a job that has not ended starts from it.

    Example: espalier masks delete msk_5f0c1d
    """
    with context.client() as client:
        client.delete_mask(mask)
    context.print_line(f"{mask} deleted", {"id": mask, "deleted": True})


def _table(found: "list[UploadedMask]") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("mask", no_wrap=True), "name", "base model", "task", "method", Column("kept", justify="right"), box=None)
    for mask in found:
        table.add_row(mask.id, mask.name or "", mask.base_model, mask.task, mask.method, f"{mask.kept / mask.weights:.1%}")
    return table
