"""``espalier export`` and ``espalier exports``: exports of a mask, each measured, made on this machine or by the service."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli import options
from espalier.cli.ids import JobId
from espalier.cli.next_steps import follow_job
from espalier.cli.output import fail, format_outcome, notify, require_output
from espalier.cli.progress import fetching
from espalier.cli.service_context import ServiceContext, with_service
from espalier.client.job_words import result_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from espalier.client._sync.client import Client
    from espalier.client.models import Job

_FIGURES = "exports.json"


def export(
    mask: Annotated[Path, typer.Argument(help="mask.safetensors or mask.espalier of a finished job.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the exports and their figures.")],
    to: Annotated[
        list[str], typer.Option("--to", help="compact, csr, onnx, onnx-int8, semi-structured or stock; may be repeated.")
    ],
    model: options.BaseModelFolder = None,
    models_dir: options.ModelsDir = None,
    datasets_dir: Annotated[
        Path | None, typer.Option(envvar="ESPALIER_DATASETS_DIR", help="Folder of local data sets, for the rows to compare on.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Export a mask and its base model in smaller or faster formats, and measure both. Needs the train extra.

    Example: espalier export mask.safetensors --to compact --to onnx-int8 -o exports
    """
    from pruning.spec.export_formats import FORMATS, parse_formats

    unknown = [name for name in to if name not in FORMATS]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(FORMATS)}", param_hint="--to")
    for name in to:
        require_output(output / name)
    from pruning.cli.environment import silence_libraries
    from pruning.errors import PruningError
    from pruning.export.run import run_exports
    from pruning.sources import Sources

    silence_libraries()  # rows to compare on may come from the hub
    try:
        entries = run_exports(mask, parse_formats(to), output, model=model, sources=Sources(models_dir, datasets_dir))
    except PruningError as error:
        fail(f"{error.message} ({error.code})", code=1)
    for entry in entries:
        size = f" ({entry.bytes} bytes)" if entry.error is None else ""
        notify(f"{entry.format}{size}: {entry.verdict}")
    if as_json:
        print(json.dumps([entry.model_dump(mode="json") for entry in entries]))
    if any(entry.error is not None for entry in entries):
        raise typer.Exit(1)


@with_service
def exports(
    context: ServiceContext,
    job: JobId,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            help="compact, csr, onnx, onnx-int8, semi-structured or stock; may be repeated. Default: list the existing exports.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait for them.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Wait for them and download them into this folder.")] = None,
) -> None:
    """Have the mask of a finished job exported by the service and print the id of the job that does it, or list such jobs.

    Example: espalier exports job_01jd3 --to compact --to onnx-int8 -o exports
    """
    with context.client() as client:
        if not to:
            pruned = client.get(job)
            found = [*client.exports(job), *([pruned] if pruned.exports else [])]
            context.print_list(found, lambda: _table(found))
            return
        made = client.export(job, to)
        waited = watch or output is not None
        if waited:
            notify(made.id)
            made = follow_job(context, client, made.id)
            _print_figures(made)
        if output is not None and made.status == "succeeded":
            _download(client, made, [*(f"export-{name}.zip" for name in to), _FIGURES], output)
    context.print_resource(made, made.id)
    if waited and made.status != "succeeded":
        raise typer.Exit(1)


def _table(found: "Sequence[Job]") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("job", no_wrap=True), "status", "exports", "files", box=None)
    for each in found:
        files = [artifact.name for artifact in each.artifacts if artifact.name.startswith("export-")]
        table.add_row(each.id, each.status, " ".join(each.exports), " ".join(files))
    return table


def _print_figures(made: "Job") -> None:
    """How the job ended, and what was measured of each export."""
    notify(format_outcome(made))
    for entry in result_of(made).get("exports", ()):
        notify(f"{entry['format']} ({entry['bytes']} bytes): {entry['verdict']}")


def _download(client: "Client", made: "Job", names: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with fetching(name) as report:
            path = client.download(made, name, folder, report=report)
        notify(f"{path} ({path.stat().st_size} bytes, sha-256 verified)")
