"""Progress display of a job that is waited for: ``espalier run``, ``espalier watch``, ``make demo``.

On standard error: a live bar on a terminal, else a line at each change of phase and at every tenth of the steps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from espalier.cli import job_text
from espalier.cli.output import notify
from espalier.client.job_words import numbers, phase, steps
from espalier.client.progress import ProgressLines

if TYPE_CHECKING:
    from espalier.client._sync.client import Client
    from espalier.client.models import Job

_PATIENCE_SECONDS = 300.0
"""Seconds that a service may be unreachable once it has responded."""
_NARROW = 100
"""Columns of a terminal below which the bar is left out."""
_CALM: dict[str, Any] = {"style": "bright_black", "complete_style": "cyan", "finished_style": "green", "pulse_style": "cyan"}
"""Styles of a bar; the default is red, which looks like a failure."""
_LARGE_BYTES = 4_000_000
"""Smaller downloads end before a bar could be read."""


def follow(client: "Client", job: str) -> "Job":
    """Show the job's progress until it has ended. A service that cannot be reached at the start is not waited for."""
    from rich.console import Console

    console = Console(stderr=True)
    client.get(job)
    changes = client.watch(job, patience=_PATIENCE_SECONDS)
    return _bar(console, changes) if console.is_terminal else _plain(changes)


def _bar(console: Any, changes: Iterator["Job"]) -> "Job":
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    narrow = console.width < _NARROW
    columns = (
        TextColumn("{task.description}", table_column=Column(width=11, no_wrap=True)),
        *(() if narrow else (BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8, max_width=40), **_CALM),)),
        TextColumn("{task.fields[steps]}", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[values]}", table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console, expand=False) as bar:
        line = bar.add_task("queued", total=None, steps="", values="")
        for seen in changes:
            step, total = steps(seen)
            bar.update(
                line,
                description=phase(seen),
                total=total,
                completed=step,
                steps=job_text.steps(seen),
                values=numbers(seen, " " if narrow else "  "),
            )
    return seen


def _plain(changes: Iterator["Job"]) -> "Job":
    lines = ProgressLines(notify)
    for seen in changes:
        lines.show(seen)
    return seen


@contextmanager
def fetching(name: str) -> Iterator[Callable[[int, int], None]]:
    """A callback for ``download`` and ``upload_dataset``: it draws a bar for a large file on a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(**_CALM), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        line = bar.add_task(name, total=None, visible=False)
        yield lambda have, total: bar.update(line, completed=have, total=total, visible=total >= _LARGE_BYTES)


@contextmanager
def counting(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """A callback that takes how many of ``total`` rows are done: it draws a bar on a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(**_CALM), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        line = bar.add_task(name, total=total)
        yield lambda done: bar.update(line, completed=done)
