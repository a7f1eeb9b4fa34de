"""What the command line prints: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import RenderableType

    from espalier.client.models import Job

_PIPED_WIDTH = 200
"""Characters per line where no terminal says how many it has; wide enough for every row to stay on one."""


def fail(message: str, *, code: int) -> NoReturn:
    """One line on standard error, and out."""
    print(f"espalier: {message}", file=sys.stderr)
    sys.exit(code)


def say(message: str) -> None:
    """A line for the person at the terminal; never mixed into a result that is piped on."""
    print(message, file=sys.stderr)


def job_json(job: "Job") -> str:
    """The job as the service told it."""
    return job.model_dump_json(indent=2)


def list_json(found: "Sequence[BaseModel]") -> str:
    """Several things as the service told them, in one JSON list."""
    return "[" + ",\n".join(each.model_dump_json(indent=2) for each in found) + "]"


def said_or_json(line: str, data: dict[str, Any], as_json: bool) -> None:
    """A line, or the same as JSON where that was asked for."""
    print(json.dumps(data) if as_json else line)


def show(table: "RenderableType") -> None:
    """A table on standard output."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(table)


def verdict(job: "Job") -> str:
    """The end of a job in a line."""
    if job.error is not None:
        field = f"{job.error.param}: " if job.error.param else ""
        return f"{job.id} {job.status}: {field}{job.error.message} ({job.error.code})"
    return f"{job.id} {job.status}"
