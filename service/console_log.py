"""Log lines for a person at a terminal: local time, process, message, and the ids of request and job.

Called by ``service.log_format``. No line can be forged: control characters of what users wrote are shown as escapes, and the lines
of a traceback are indented.
"""

import logging
import sys

from structlog.dev import Column, ConsoleRenderer, KeyValueColumnFormatter, plain_traceback
from structlog.typing import EventDict, Processor

_IN_EVENT = ("logger", "method", "route", "path", "status", "duration_ms", "owner", "key_id")
"""Fields that the message repeats or a person does not need."""
_ROLE_WIDTH = 6


def says_something_new(record: logging.LogRecord) -> bool:
    """Whether ``record`` is anything but a request that read and succeeded: an open page makes several in a minute."""
    reads = getattr(record, "method", None) in ("GET", "HEAD")
    return not (reads and getattr(record, "status", 500) < 400)


def console_processors() -> list[Processor]:
    """From a line's fields to its text; in colour where standard error is a terminal."""
    styles = ConsoleRenderer.get_default_column_styles(colors=sys.stderr.isatty())
    levels = ConsoleRenderer.get_default_level_styles(colors=sys.stderr.isatty())

    def level(key: str, value: object) -> str:
        name = str(value)
        return "" if name in ("debug", "info") else f"{levels.get(name, '')}{name}:{styles.reset}"

    def event(key: str, value: object) -> str:
        return f"{value} "

    def column(value_style: str, width: int = 0) -> KeyValueColumnFormatter:
        return KeyValueColumnFormatter(None, value_style, styles.reset, str, width)

    columns = [
        Column("timestamp", column(styles.timestamp)),
        Column("role", column(styles.logger_name, _ROLE_WIDTH)),
        Column("level", level),
        Column("event", event),
        Column("", KeyValueColumnFormatter(styles.kv_key, styles.kv_value, styles.reset, str)),
    ]
    return [_for_people, ConsoleRenderer(columns=columns, sort_keys=False, exception_formatter=plain_traceback)]


def _for_people(_logger: object, _method: str, event: EventDict) -> EventDict:
    event = {name: value for name, value in event.items() if name not in _IN_EVENT}
    if event.get("attempt") == 1:
        del event["attempt"]
    return {name: _indented(value) if name == "exception" else _on_one_line(value) for name, value in event.items()}


def _on_one_line(value: object) -> str:
    return _printable(" ".join(str(value).split()))


def _indented(traceback: object) -> str:
    return "\n".join(f"  {_printable(line)}" for line in str(traceback).split("\n"))


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
