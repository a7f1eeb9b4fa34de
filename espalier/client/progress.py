"""Progress of a job that is waited for, without a dependency: ``wait(job, progress=True)``.

One line that is redrawn on a terminal (standard error) and in a notebook (standard output, where plain text is all it
needs); elsewhere, such as in a log, lines. The command line writes the same lines where it has no terminal for its own bar.
"""

import os
import shutil
import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from espalier.client import job_words

if TYPE_CHECKING:
    from espalier.client.job import Job

_BAR = 20
"""Characters of a bar."""
_LINES = 10
"""Steps of progress where a line cannot be redrawn."""
_NOTEBOOK_COLUMNS = 120


class ProgressLines:
    """A line at each change of phase and at every tenth of the steps."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._shown: tuple[str, int] | None = None

    def show(self, job: "Job") -> None:
        """Write the state of the job, if it has changed."""
        step, total = job_words.steps(job)
        now = (job_words.phase(job), _LINES * step // total if total else 0)
        if now != self._shown:
            self._shown = now
            self._write(_line(job, bar=False))


class ProgressLine:
    """A context in which each state of a job is shown; one that is not ``enabled`` shows nothing."""

    def __init__(self, *, enabled: bool) -> None:
        self._output: TextIO | None = None
        self._columns: int | None = None
        if enabled:
            self._output, self._columns = _output()
        self._drawn = 0
        self._lines = ProgressLines(lambda line: print(line, file=self._output, flush=True))

    def show(self, job: "Job") -> None:
        """Show the job as it is now."""
        if self._output is None:
            return
        if self._columns is None:
            self._lines.show(job)
            return
        line = _line(job, bar=True)[: self._columns - 1]
        self._output.write(f"\r{line.ljust(self._drawn)}")
        self._output.flush()
        self._drawn = len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._output is not None and self._drawn:
            print(file=self._output, flush=True)  # later output begins on a new line


def _output() -> tuple[TextIO, int | None]:
    """Stream to write to, and the columns of a line that can be redrawn; None where no line can be redrawn."""
    if _in_notebook():
        return sys.stdout, _NOTEBOOK_COLUMNS
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return sys.stderr, shutil.get_terminal_size().columns
    return sys.stderr, None


def _in_notebook() -> bool:
    """Whether the program runs in a Jupyter kernel, whose standard error would be shown as a failure."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


def _line(job: "Job", *, bar: bool) -> str:
    step, total = job_words.steps(job)
    parts = [f"{job_words.phase(job):<11}" if bar else job_words.phase(job)]
    if total:
        full = min(_BAR, _BAR * step // total)
        parts += [f"[{'#' * full}{'-' * (_BAR - full)}]"] if bar else []
        parts.append(f"{step}/{total}")
    return "  ".join(filter(None, (*parts, job_words.numbers(job)))).rstrip()
