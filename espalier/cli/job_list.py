"""``espalier jobs``: the newest jobs, one to a line, as wide as the terminal.

Where the terminal is narrow, ids are cut to the length at which they differ, then columns are left out by their rank, then the
longest texts are cut. Piped output is complete.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli import job_text, options
from espalier.cli.output import notify, terminal_width
from espalier.cli.queue_place import read_waits
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from rich.table import Table

    from espalier.client.models import Job

_PAGE = 100
_GAP = 2
"""Blanks between two columns."""
_PREFIX, _SHORTEST_ID = "job_", 10
"""Prefix that a cut id loses, and the characters that it keeps: the creation time in milliseconds."""
_LEAST_WORDS = 15
"""Characters of the last column: ``13 %, 12 s left``."""


@with_service
def list_jobs(
    context: ServiceContext,
    status: Annotated[str | None, typer.Option(help="Only jobs in this state, e.g. running.")] = None,
    task: Annotated[str | None, typer.Option(help="Only jobs for this task, by name.")] = None,
    model: Annotated[str | None, typer.Option(help="Only jobs of this model.")] = None,
    method: Annotated[str | None, typer.Option(help="Only jobs by this method.")] = None,
    sweep: Annotated[str | None, typer.Option(help="Only jobs of this sweep.")] = None,
    kind: Annotated[str | None, typer.Option(help="export or evaluation: those on the mask of another job.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="Only jobs with this pair; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 20,
    wide: Annotated[bool, typer.Option("--wide", help="All columns and whole ids, however wide the terminal is.")] = False,
) -> None:
    """List jobs, newest first: state, metric before → after, age, time run, what a queued job waits for.

    Example: espalier jobs --status running --metadata team=nlp
    """
    pairs = options.pairs(metadata, "--metadata")
    filters: dict[str, Any] = {"status": status, "task": task, "model": model, "method": method, "sweep": sweep, "kind": kind}
    with context.client() as client:
        found = list(islice(client.list(limit=min(limit, _PAGE), metadata=pairs, **filters), limit))
        if not any((*filters.values(), pairs)):  # all jobs: the other kinds wait in the same queue
            for other in ("export", "evaluation"):
                found += islice(client.list(limit=min(limit, _PAGE), kind=other), limit)
            found = sorted(found, key=lambda job: (job.created_at is not None, job.created_at), reverse=True)
            found = found[:limit]
        waits = {} if context.as_json else read_waits(client, found)
    if not found and not context.as_json:
        notify(_when_empty(filtered=any((*filters.values(), pairs))))
        return
    wide = wide or not sys.stdout.isatty()
    context.print_list(found, lambda: jobs_table(found, waits, None if wide else terminal_width()), wide=wide)


@dataclass
class _Column:
    """A column of the list, and its rank: 0 is never left out."""

    name: str
    rank: int
    cells: Sequence[str]
    right: bool = False
    least: int | None = None
    """Characters that a cut cell keeps; None: it is never cut."""

    room: int | None = None
    """Characters that it is cut to; None: what its longest cell has."""

    @property
    def width(self) -> int:
        """Characters of its longest cell."""
        from rich.cells import cell_len

        return max(cell_len(text) for text in (self.name, *self.cells))


def jobs_table(found: "Sequence[Job]", waits: dict[str, str], width: int | None = None) -> "Table":
    """The jobs as a table that fits into ``width`` characters; None: all columns. ``waits``: by id of a queued job."""
    from rich.table import Table
    from rich.text import Text

    columns = fit_columns(_columns(found, waits), found, width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(
            column.name, justify="right" if column.right else "left", no_wrap=True, overflow="ellipsis", width=column.room
        )
    for row, job in enumerate(found):
        cells = [Text(column.cells[row]) for column in columns]
        cells[0].stylize(job_text.colour(job.status), 0, None if job.status == "failed" else 1)
        table.add_row(*cells)
    return table


def _columns(found: "Sequence[Job]", waits: dict[str, str]) -> list[_Column]:
    def cells(text: "Callable[[Job], str]") -> list[str]:
        return [text(job) for job in found]

    return [
        _Column("state", 0, cells(lambda job: f"{job_text.mark(job.status)} {job_text.requested(job) or job.status}")),
        _Column("id", 0, cells(lambda job: job.id)),
        _Column("model", 5, cells(lambda job: str(job.spec.get("model", ""))), least=12),
        _Column("task", 3, cells(job_text.task_name), least=8),
        _Column("method", 7, cells(_method)),
        _Column("sparsity", 6, cells(job_text.sparsity), right=True),
        _Column("metric", 2, cells(lambda job: " ".join(filter(None, (job_text.metric_name(job), job_text.metric(job)))))),
        _Column("age", 1, cells(lambda job: job_text.age(job.created_at)), right=True),
        _Column("ran", 4, cells(job_text.ran_for), right=True),
        _Column("", 0, cells(lambda job: job_text.doing(job, waits.get(job.id, ""))), least=_LEAST_WORDS),
    ]


def fit_columns(columns: list[_Column], found: "Sequence[Job]", width: int | None) -> list[_Column]:
    """The columns that fit into ``width`` characters: empty ones go first, then ids are cut, then the least needed go,
    and the longest texts of the others are cut."""
    kept = [column for column in columns if column.rank == 0 or any(column.cells)]
    if width is None:
        return kept
    if _width(kept, cut=False) > width:
        ids = next(column for column in kept if column.name == "id")
        ids.cells = short_ids([job.id for job in found])
        for column in kept:
            if column.name == "metric":
                column.cells = [job_text.metric(job) for job in found]
    while _width(kept, cut=True) > width and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    missing = _width(kept, cut=False) - width
    for column in sorted(kept, key=lambda column: column.rank, reverse=True):
        if missing > 0 and column.least is not None:
            column.room = max(column.width - missing, min(column.width, column.least))
            missing -= column.width - column.room
    return kept


def _width(columns: Sequence[_Column], *, cut: bool) -> int:
    widths = (min(each.width, each.least) if cut and each.least is not None else each.width for each in columns)
    return sum(widths) + _GAP * (len(columns) - 1)


def short_ids(ids: Sequence[str]) -> list[str]:
    """The ids without their prefix, cut to one length at which they differ, and which every command accepts."""
    bare, length = [each.removeprefix(_PREFIX) for each in ids], _SHORTEST_ID
    while len({each[:length] for each in bare}) < len(set(bare)):
        length += 1
    return [each[:length] for each in bare]


def _method(job: "Job") -> str:
    for kind in ("export", "evaluation"):
        if job_text.field(job, f"{kind}_of") is not None:
            return kind
    return str(job.spec.get("method", ""))


def _when_empty(*, filtered: bool) -> str:
    if filtered:
        return "no job matches; without options: espalier jobs"
    return "there are no jobs yet; submit one with: espalier run MODEL TASK (espalier models and espalier tasks list both)"
