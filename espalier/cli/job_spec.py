"""The spec of a job that ``espalier run`` and ``espalier submit`` send, with a file of rows as its task where one is given."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli.output import notify
from espalier.cli.rows_file import RowsFile, is_rows_file
from espalier.errors import ApiError

if TYPE_CHECKING:
    from espalier.client._sync.client import Client
    from espalier.client.models import Job

_WORDS = ("label_words", "task.label_words", "task.labels")
"""Fields named in a refusal of class names that cannot be label words of the model."""
Text = Annotated[
    list[str] | None, typer.Option("--text", help="File of rows: the column with the text; twice for pairs. Default: the only one.")
]
Label = Annotated[str | None, typer.Option("--label", help="File of rows: the column to predict. Default: label.")]


def rows_of(task: str | None, text: list[str] | None, label: str | None, *, dry_run: bool) -> RowsFile | None:
    """The file of rows that is given as a task; None for any other. Raises typer.BadParameter before anything is sent."""
    if not is_rows_file(task):
        if text or label:
            raise typer.BadParameter("they name columns of a file of rows, given in place of TASK", param_hint="--text, --label")
        return None
    if dry_run:
        raise typer.BadParameter(
            "a dry run creates nothing, and the file would have to be uploaded first: espalier datasets upload",
            param_hint="--dry-run",
        )
    return RowsFile.read(Path(str(task)), text or (), label)


def submit_job(client: "Client", spec: dict[str, Any], rows: RowsFile | None) -> "Job":
    """Submit the job, after the upload of its rows where there are some.

    Where the names of their classes cannot be label words of the model, a classifier head is trained instead, unless
    ``head`` or ``label_word_pieces`` is given; a line says so.
    """
    if rows is None:
        return client.submit(**spec)
    spec = spec | {"task": rows.upload(client)}
    try:
        return client.submit(**spec)
    except ApiError as refusal:
        if {"head", "label_word_pieces"} & spec.keys() or not (refusal.param or "").startswith(_WORDS):
            raise
        notify(f"{refusal.detail}; so a classifier head is trained (--set head=label-words forces label words)")
        return client.submit(**spec, head="classifier")
