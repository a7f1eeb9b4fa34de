"""Log lines of child processes: what a predictor or a parser of uploads writes to standard error, within bounds.

Called by ``api.predictions.process`` and ``api.uploads.confined``. Inherited, that output would stand between the lines of the
API's log: tracebacks of several lines, warnings of libraries, and everything that a user's file can make a parser print.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context

from pruning.processes.pipe_lines import LineBuffer

_LINES = 200
"""Logged of one process; a traceback has some tens."""
_CHARACTERS = 2000
"""Logged of one line."""
_READ_BYTES = 1 << 16
log = logging.getLogger(__name__)


@contextmanager
def logged_stderr(program: str, context: Context | None = None) -> Iterator[int]:
    """A descriptor for the standard error of a child that is started inside the block; ``program`` names it in the log.

    The lines have the fields that are bound in ``context``, by default that of the caller with the request's id. A thread logs them
    until the child and all that it started have ended.
    """
    reading, writing = os.pipe()
    try:
        run = (copy_context() if context is None else context).run
        threading.Thread(target=run, args=(_log_lines, reading, program), name=f"stderr of {program}", daemon=True).start()
        yield writing
    finally:
        os.close(writing)


def _log_lines(descriptor: int, program: str) -> None:
    buffer, count = LineBuffer(), 0
    with os.fdopen(descriptor, "rb", buffering=0) as pipe:
        while data := pipe.read(_READ_BYTES):
            count = _log_some(buffer.feed(data), program, count)
    _log_some(buffer.close(), program, count)


def _log_some(lines: list[bytes], program: str, before: int) -> int:
    """How many lines there were by now."""
    for line in lines[: max(0, _LINES - before)]:
        log.warning("%s: %s", program, line[:_CHARACTERS].decode(errors="replace").rstrip())
    if before <= _LINES < before + len(lines):
        log.warning("%s: further lines are not logged", program)
    return before + len(lines)
