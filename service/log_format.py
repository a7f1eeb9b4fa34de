"""One log format for all processes of the service: structlog, as JSON lines or as text for people, on standard error.

Called where a process starts: ``api.process``, ``worker.app`` and the commands that run the service. Modules log through
``logging.getLogger(__name__)``; structlog formats these records and those of uvicorn, Celery and other libraries alike. What is
bound with ``structlog.contextvars`` is a field of every line that the same request or thread logs: ``request_id``, ``owner``,
``key_id`` (the API), ``job_id``, ``attempt``, ``owner`` (the worker). A new thread begins with none of them unless it is started in
a copy of its starter's context (``contextvars.copy_context``). ``trace_id`` and ``span_id`` are those of the current span.
"""

import logging
import sys
import threading
from types import TracebackType

from structlog.contextvars import merge_contextvars
from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, Processor

from service.console_log import console_processors, says_something_new
from service.log_settings import LogSettings, log_settings
from service.redaction import redact
from service.tracing import spans

REQUEST_FIELDS = ("method", "route", "path", "status", "duration_ms")
"""Further fields of the line of a finished request; passed to ``logging`` as ``extra``."""
_FIRST = ("timestamp", "level", "role", "logger", "event", "request_id")
_LAST = ("owner", "key_id", "job_id", "attempt", "trace_id", "span_id")
_ORDER = {name: place for place, name in enumerate([*_FIRST, *REQUEST_FIELDS, *_LAST])}
_OWN = ("api", "espalier", "pruning", "service", "worker")
_SERVERS = ("celery", "kombu", "uvicorn")
"""Libraries whose INFO lines say how a process is connected; of no use to a person at a terminal."""
_SUBCLASSES = ("service.db.pool",)
"""Modules in whose name a library logs: SQLAlchemy names its loggers by the class of a pool, which is a subclass of ours."""
log = logging.getLogger(__name__)


def configure(role: str, settings: LogSettings | None = None) -> None:
    """Send the log of this process to standard error in the format and from the level on that ``settings`` name.

    ``role`` (``api``, ``worker``, …) is a field of every line; ``settings`` default to the environment's. Exceptions that nothing
    catches become lines too.
    """
    settings = settings or log_settings()
    logging.root.handlers[:] = [log_handler(role, settings)]
    _set_levels(settings)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_of_thread


def log_handler(role: str, settings: LogSettings) -> logging.Handler:
    """Writes records to standard error, each as one line in JSON and as one with its traceback below it on the console."""

    def add_role(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    stamp = TimeStamper("%H:%M:%S", utc=False) if settings.console else TimeStamper("iso", utc=True)
    extra = ExtraAdder(REQUEST_FIELDS)
    fields: list[Processor] = [merge_contextvars, _add_trace, add_log_level, add_logger_name, extra, stamp, add_role]
    # ASCII alone: some readers take U+2028 and others for line ends, and terminals obey control characters
    renderer: list[Processor] = console_processors() if settings.console else [JSONRenderer(ensure_ascii=True)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=fields,
            processors=[ProcessorFormatter.remove_processors_meta, format_exc_info, _as_plain_values, *renderer],
        )
    )
    if settings.console and settings.level > logging.DEBUG:
        handler.addFilter(says_something_new)
    return handler


def _set_levels(settings: LogSettings) -> None:
    logging.root.setLevel(max(settings.level, logging.WARNING))
    for name in _OWN:
        logging.getLogger(name).setLevel(settings.level)
    for name in _SUBCLASSES:
        logging.getLogger(name).setLevel(max(settings.level, logging.WARNING))
    for name in _SERVERS:
        logging.getLogger(name).setLevel(max(settings.level, logging.WARNING if settings.console else logging.INFO))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi"):  # it may have configured them itself
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in ("uvicorn.error", "uvicorn.asgi"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    access = logging.getLogger("uvicorn.access")  # api.middleware.access_log has the same lines with more fields
    access.handlers.clear()
    access.propagate = False


def _add_trace(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Ids of the span that the line was logged in, as the collector of traces shows them."""
    if (context := spans.current_context()) is not None:
        _, event["trace_id"], event["span_id"], _ = context["traceparent"].split("-")
    return event


def _as_plain_values(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Strings, numbers and truth values without secrets, in one order; fields without a value are left out."""
    names = sorted((name for name in event if event[name] is not None), key=lambda name: (_ORDER.get(name, len(_ORDER)), name))
    return {name: event[name] if isinstance(event[name], int | float) else redact(str(event[name])) for name in names}


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("the process ends by an exception that nothing catches", exc_info=(kind, error, trace))


def _log_uncaught_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not issubclass(ended.exc_type, SystemExit):
        name = ended.thread.name if ended.thread is not None else "unnamed"
        log.error("thread %s ended by an exception", name, exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback))
