"""Output of the command line: results on standard output, everything else on standard error."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import RenderableType

    from espalier.client.models import Job

_PIPED_WIDTH = 200
"""Characters per line where no terminal says how many it has; wide enough for every row to stay on one."""


def fail(message: str, *, code: int) -> NoReturn:
    """One line on standard error, and exit with ``code``."""
    print(f"espalier: {message}", file=sys.stderr)
    sys.exit(code)


def require_output(folder: Path) -> None:
    """Refuse a folder for ``--output`` that could not be written, before any work is done."""
    from pruning.files import require_new_folder

    try:
        require_new_folder(folder)
    except OSError as fault:
        fail(
            f"--output {folder}: {fault.strerror}; name a folder that does not exist or is empty, where you may write",
            code=2,
        )


def notify(message: str) -> None:
    """A line for the person at the terminal; never mixed into a result that is piped on."""
    print(message, file=sys.stderr)


def format_list(resources: "Sequence[BaseModel]") -> str:
    """Several resources as the service sent them, in one JSON list."""
    return "[" + ",\n".join(each.model_dump_json(indent=2) for each in resources) + "]"


def print_table(table: "RenderableType") -> None:
    """A table on standard output."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(table)


def format_outcome(job: "Job") -> str:
    """The end of a job in a line."""
    if job.error is not None:
        field = f"{job.error.param}: " if job.error.param else ""
        return f"{job.id} {job.status}: {field}{job.error.message} ({job.error.code})"
    return f"{job.id} {job.status}"
