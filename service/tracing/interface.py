"""Span interface: what the service's code sees of a span, and the span of a process that does not trace.

OpenTelemetry is not imported here, so that everything can be typed without the extra ``otel``.
"""

from collections.abc import Mapping
from typing import Protocol

TraceContext = dict[str, str]
"""W3C Trace Context by header name, ``traceparent`` and perhaps ``tracestate``, as rows of jobs and messages carry it."""
Attributes = Mapping[str, str | int | float | bool]
"""What a span says. It leaves the service: ids, names of methods and formats, counts and error codes; never keys, URLs of
receivers, rows, texts or error messages."""


class Span(Protocol):
    """A span that has begun."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes, or replace those of the same names."""

    def event(self, name: str, attributes: Attributes) -> None:
        """Add a moment with a name."""

    def fail(self, code: str) -> None:
        """Mark it as failed, with ``code`` as its ``error.type``."""

    def end(self) -> None:
        """It is over, and is sent."""

    def drop(self) -> None:
        """It is never sent: another process ends it."""


class _NoSpan:
    def set(self, attributes: Attributes) -> None: ...
    def event(self, name: str, attributes: Attributes) -> None: ...
    def fail(self, code: str) -> None: ...
    def end(self) -> None: ...
    def drop(self) -> None: ...


NO_SPAN: Span = _NoSpan()
"""Of a process that does not trace."""
