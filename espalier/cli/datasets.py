"""``espalier datasets``: upload, list, show and delete data sets for custom tasks."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier.cli.ids import DatasetId
from espalier.cli.output import notify, print_json, print_table
from espalier.cli.progress import fetching
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from rich.table import Table

    from espalier.client.models import Dataset, DatasetColumn

app = typer.Typer(help="Upload data sets for custom tasks, list and delete them.", no_args_is_help=True)


@app.command()
@with_service
def upload(
    context: ServiceContext,
    train: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=".jsonl, .csv (also .gz) or .parquet.")],
    validation: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The same for the validation rows.")],
    name: Annotated[str | None, typer.Option(help="Name of your choice.")] = None,
) -> None:
    """Upload a data set and print its id, which a custom task names. The same rows again are the same data set.

    Example: espalier datasets upload train.csv validation.csv --name tickets
    """
    with context.client() as client, fetching(train.name) as report:
        made = client.upload_dataset(name=name, report=report, train=train, validation=validation)
    notify(", ".join(f"{split.name}: {split.rows} rows" for split in made.splits))
    context.print_resource(made, made.id)


@app.command("list")
@with_service
def list_datasets(context: ServiceContext) -> None:
    """List data sets, newest first.

    Example: espalier datasets list
    """
    with context.client() as client:
        found = list(client.datasets())
    context.print_list(found, lambda: _table(found))


@app.command()
@with_service
def show(
    context: ServiceContext,
    dataset: DatasetId,
    rows: Annotated[int, typer.Option(min=0, max=100, help="Print so many of the first rows too.")] = 3,
) -> None:
    """Show the splits and columns of a data set, and its first rows.

    Example: espalier datasets show ds_5f0c1d --rows 5
    """
    with context.client() as client:
        found = client.dataset(dataset)
        first = {split.name: client.dataset_rows(found, split.name, rows) for split in found.splits} if rows else {}
    if context.as_json:
        print_json(found.model_dump_json(indent=2))
        return
    print_table(_columns_table(found))
    for name, examples in first.items():
        for example in examples:
            print(f"{name}: {json.dumps(example, ensure_ascii=False)}")


@app.command()
@with_service
def delete(context: ServiceContext, dataset: DatasetId) -> None:
    """Delete a data set; refused while a job that has not ended reads it.

    Example: espalier datasets delete ds_5f0c1d
    """
    with context.client() as client:
        client.delete_dataset(dataset)
    context.print_line(f"{dataset} deleted", {"id": dataset, "deleted": True})


def _table(found: "list[Dataset]") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("id", no_wrap=True), "name", "splits", "columns", "created", box=None)
    for dataset in found:
        table.add_row(*_row(dataset))
    return table


def _columns_table(dataset: "Dataset") -> "Table":
    from rich.table import Table

    table = Table("split", "rows", "column", "kinds", "values", box=None)
    for split in dataset.splits:
        for column in split.columns:
            table.add_row(split.name, str(split.rows), column.name, ", ".join(column.kinds), _values(column))
    return table


def _row(dataset: "Dataset") -> list[str]:
    splits = ", ".join(f"{split.name} {split.rows}" for split in dataset.splits)
    columns = ", ".join(dict.fromkeys(column.name for split in dataset.splits for column in split.columns))
    created = dataset.created_at.astimezone().strftime("%Y-%m-%d %H:%M") if dataset.created_at is not None else ""
    return [dataset.id, dataset.name or "", splits, columns, created]


def _values(column: "DatasetColumn") -> str:
    return ", ".join(map(str, column.values)) if column.values is not None else ""
