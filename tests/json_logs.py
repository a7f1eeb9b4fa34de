"""Log lines in tests: what an application logs while a block runs, formatted as its process would."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from service.log_format import log_handler
from service.log_settings import LogSettings


class _Collector(logging.Handler):
    def __init__(self, role: str) -> None:
        super().__init__()
        self.setFormatter(log_handler(role, LogSettings(log_format="json")).formatter)
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))  # at once: later the thread has other fields


@contextmanager
def logged(role: str = "api") -> Iterator[list[dict[str, Any]]]:
    """The lines of our own packages from level DEBUG on."""
    handler, loggers = _Collector(role), [logging.getLogger(name) for name in ("api", "service", "worker")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
