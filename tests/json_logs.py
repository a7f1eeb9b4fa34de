"""Log lines in tests: what an application logs while a block runs, formatted as its process would; the log of the tests kept."""

import json
import logging
import sys
import threading
import warnings
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


@contextmanager
def log_configuration_kept() -> Iterator[None]:
    """Undo what ``service.log_format.configure`` does inside the block, as a command does that is called in this process."""
    hooks = sys.excepthook, threading.excepthook, warnings.showwarning
    before = {logger: (logger.level, logger.propagate, [*logger.handlers]) for logger in _loggers()}
    try:
        yield
    finally:
        logging.captureWarnings(False)
        sys.excepthook, threading.excepthook, warnings.showwarning = hooks
        for logger in _loggers():
            level, logger.propagate, logger.handlers[:] = before.get(logger, (logging.NOTSET, True, []))
            _set_level(logger, level)


def log_reaches_pytest() -> None:
    """Let lines of our own packages reach the handlers of the root logger, as they do in a process that configured nothing."""
    if logging.root.manager.disable != logging.NOTSET:
        logging.disable(logging.NOTSET)
    for logger in _loggers():
        if logger.name.split(".")[0] in ("api", "espalier", "pruning", "service", "worker"):
            logger.disabled, logger.propagate = False, True
            _set_level(logger, logging.NOTSET)
    _set_level(logging.root, logging.WARNING)


def _set_level(logger: logging.Logger, level: int) -> None:
    """Set the level where it is another: each time costs a visit to every logger, of which torch and transformers have 600."""
    if logger.level != level:
        logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    named = logging.root.manager.loggerDict.values()
    return [logging.root, *(each for each in named if isinstance(each, logging.Logger))]
