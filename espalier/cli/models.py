"""``espalier models``: list the models that a job can name, upload your own, show and delete them.

``espalier models`` alone is short for ``espalier models list``.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from espalier.cli.ids import ModelId
from espalier.cli.output import notify, print_json, print_table
from espalier.cli.progress import fetching
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from rich.table import Table

    from espalier.client.model_entries import ModelList, UploadedModel


class _Listing(TyperGroup):
    """Treats arguments that are not a command of the group as those of ``list``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Listing, help="List the models that a job can name; upload your own, show and delete them.")


@app.command("list")
@with_service
def list_models(context: ServiceContext) -> None:
    """List the models that a job can name: local ones, your uploaded ones, and which of the hub.

    Example: espalier models list
    """
    with context.client() as client:
        found = client.models()
    if context.as_json:
        print_json(found.model_dump_json(indent=2))
        return
    if found.data:
        print_table(_table(found))
    else:
        notify("the service has no models of its own; espalier models push uploads one")
    types = ", ".join(found.model_types)
    notify(
        f"and any of the hub of these types: {types}" if found.hub else f"the hub is not used; types that can be pruned: {types}"
    )


@app.command()
@with_service
def push(
    context: ServiceContext,
    folder: Annotated[Path, typer.Argument(exists=True, help="Hugging Face folder with safetensors weights, or a .zip of one.")],
    name: Annotated[str | None, typer.Option(help="Name of your choice; default the folder's name.")] = None,
) -> None:
    """Upload a model and print its id, which a job names as its model. The same files again are the same model.

    Example: espalier models push ./my-bert --name my-bert
    """
    from espalier.client.upload_files import left_out

    others = left_out(folder)
    if others:
        notify(f"not sent, because they are not files of a model: {', '.join(others)}")
    with context.client() as client, fetching(folder.name) as report:
        made = client.upload_model(folder, name=name or folder.resolve().stem, report=report)
    notify(f"{made.model_type}, {made.size:,} bytes in {len(made.files)} files")
    context.print_resource(made, made.id)


@app.command()
@with_service
def show(context: ServiceContext, model: ModelId) -> None:
    """Show an uploaded model and its files.

    Example: espalier models show mdl_5f0c1d
    """
    with context.client() as client:
        found = client.uploaded_model(model)
    if context.as_json:
        print_json(found.model_dump_json(indent=2))
        return
    print_table(_files_table(found))


@app.command()
@with_service
def delete(context: ServiceContext, model: ModelId) -> None:
    """Delete an uploaded model; refused while a job that has not ended reads it. Masks of it stay: keep its files.

    Example: espalier models delete mdl_5f0c1d
    """
    with context.client() as client:
        client.delete_model(model)
    context.print_line(f"{model} deleted", {"id": model, "deleted": True})


def _table(found: "ModelList") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("model", no_wrap=True), "type", Column("masked weights", justify="right"), "", box=None)
    for model in found.data:
        weights = f"{model.masked_weights:,}" if model.masked_weights is not None else ""
        table.add_row(model.name, model.model_type or "", weights, model.problem or model.title or "")
    return table


def _files_table(model: "UploadedModel") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("file", no_wrap=True), Column("bytes", justify="right"), "sha-256", box=None)
    for file in model.files:
        table.add_row(file.name, f"{file.size:,}", file.sha256)
    return table
