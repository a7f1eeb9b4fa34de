"""Log lines of a worker on standard error: JSON objects, or text for people, with the job and the attempt that each is about.

Configured by ``worker.app`` in place of Celery's own formats; ``worker.run`` binds job and attempt.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

_bound: ContextVar[dict[str, Any] | None] = ContextVar("bound", default=None)


@contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Records logged by this thread inside the block carry ``fields``, e.g. ``job`` and ``attempt``."""
    token = _bound.set({**(_bound.get() or {}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """``time``, ``level``, ``logger``, ``message``, the bound fields and, where there is one, the ``traceback``."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(_bound.get() or {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """A record as one line for a person: ``12:30:05  job_01jd3…  claimed: …``; a traceback follows in lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Local time, the job, the attempt after the first, the level from warnings on, and the message."""
        bound = _bound.get() or {}
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")  # the terminal's time zone
        job = str(bound.get("job", ""))
        if bound.get("attempt", 1) > 1:
            job += f" (attempt {bound['attempt']})"
        level = f"{record.levelname.lower()}:" if record.levelno >= logging.WARNING else ""
        message = " ".join(record.getMessage().split())
        line = "  ".join(filter(None, (time, job, " ".join(filter(None, (level, message))))))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: int | str = logging.INFO, *, text: bool = False) -> None:
    """Send every logger of this process to standard error, as JSON lines or as ``text``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    if text:  # how Celery is connected says nothing to a person
        logging.getLogger("celery").setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
