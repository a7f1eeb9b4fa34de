"""Output of the command line: results on standard output, everything else on standard error."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import RenderableType

    from espalier.client.models import Job, JobWarning

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_PIPED_WIDTH = 200
"""Characters per line where no terminal says how many it has; wide enough for every row to stay on one."""
_UNCUT_WIDTH = 10_000
"""Characters per line of a table that must not be cut at all."""


def fail(message: str, *, code: int) -> NoReturn:
    """One line on standard error, and exit with ``code``."""
    print(f"espalier: {message}", file=sys.stderr)
    sys.exit(code)


def accept_every_character() -> None:
    """Escape characters that the terminal's encoding lacks, so that no command fails on one."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(text: str) -> None:
    """JSON on standard output; in plain ASCII where that is not UTF-8, so that every program reads it alike."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("_", "-")
    if encoding not in ("utf-8", "utf8"):
        text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    print(text, flush=True)


def require_output(folder: Path) -> None:
    """Refuse a folder for ``--output`` that could not be written, before any work is done."""
    from pruning.files import require_new_folder

    try:
        require_new_folder(folder)
    except OSError as fault:
        fail(f"--output {folder}: {fault.strerror}; name a folder that does not exist or is empty, where you may write", code=2)


def notify(message: str) -> None:
    """A line on standard error, apart from piped results; on a terminal it is wrapped between words."""
    if sys.stderr.isatty():
        message = wrap(message, shutil.get_terminal_size().columns)
    print(message, file=sys.stderr)


def wrap(message: str, width: int) -> str:
    """``message`` in lines of at most ``width`` characters where words allow it; what follows a first line is indented."""
    fill = partial(textwrap.fill, width=width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(fill(line) if len(line) > width else line for line in message.split("\n"))


def format_list(resources: "Sequence[BaseModel]") -> str:
    """Several resources as the service sent them, in one JSON list."""
    return "[" + ",\n".join(each.model_dump_json(indent=2) for each in resources) + "]"


def print_table(table: "RenderableType", *, wide: bool = False) -> None:
    """A table on standard output; ``wide``: not cut to the width of the terminal."""
    from rich.console import Console

    usual = None if sys.stdout.isatty() else _PIPED_WIDTH
    Console(width=_UNCUT_WIDTH if wide else usual, markup=False, emoji=False).print(table)


def terminal_width() -> int:
    """Characters per line of the terminal."""
    from rich.console import Console

    return Console().width


def format_outcome(job: "Job") -> str:
    """One line on the end of a job."""
    if job.error is not None:
        field = f"{job.error.param}: " if job.error.param else ""
        return f"{job.id} {job.status}: {field}{job.error.message} ({job.error.code})"
    return f"{job.id} {job.status}"


def format_warnings(warnings: "Sequence[JobWarning]") -> list[str]:
    """A line for each warning, with its remedy."""
    return [f"warning: {warning.message}. {warning.remedy} ({warning.code})" for warning in warnings]
