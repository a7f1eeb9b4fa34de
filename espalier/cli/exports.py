"""``espalier exports``: other forms of a finished job's mask, made by the service, and those asked for so far."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli import options
from espalier.cli.output import job_json, list_json, say, show, verdict
from espalier.cli.progress import fetching, follow

if TYPE_CHECKING:
    from espalier.client._sync.client import Client
    from espalier.client.models import Job

_FIGURES = "exports.json"


def exports(
    job: options.JobId,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            help="compact, csr, onnx, onnx-int8, semi-structured or stock; may be repeated. Default: list what there is.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Wait for them.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Wait for them and download them into this folder.")
    ] = None,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Have the mask of a finished job exported by the service and print the id of the job that does it, or list such jobs.

    Example: espalier exports job_01jd3 --to compact --to onnx-int8 -o exports
    """
    with options.client(url, api_key) as client:
        if not to:
            _list(client, job, as_json)
            return
        made = client.export(job, to)
        waited = watch or output is not None
        if waited:
            say(made.id)
            made = follow(client, made.id)
            _tell(made)
        if output is not None and made.status == "succeeded":
            _download(client, made, [*(f"export-{name}.zip" for name in to), _FIGURES], output)
    print(job_json(made) if as_json else made.id)
    if waited and made.status != "succeeded":
        raise typer.Exit(1)


def _list(client: "Client", job_id: str, as_json: bool) -> None:
    """What the job made itself is told with the rest."""
    pruned = client.get(job_id)
    found = [*client.exports(job_id), *([pruned] if pruned.exports else [])]
    if as_json:
        print(list_json(found))
        return
    from rich.table import Column, Table

    table = Table(Column("job", no_wrap=True), "status", "exports", "files", box=None)
    for each in found:
        files = [artifact.name for artifact in each.artifacts if artifact.name.startswith("export-")]
        table.add_row(each.id, each.status, " ".join(each.exports), " ".join(files))
    show(table)


def _tell(made: "Job") -> None:
    """How it ended, and what each export is good for."""
    say(verdict(made))
    for entry in (made.result or {}).get("exports", ()):
        say(f"{entry['format']} ({entry['bytes']} bytes): {entry['verdict']}")


def _download(client: "Client", made: "Job", names: list[str], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        with fetching(name) as report:
            path = client.download(made, name, folder, report=report)
        say(f"{path} ({path.stat().st_size} bytes, sha-256 verified)")
