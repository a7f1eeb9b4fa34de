"""Spans and trace contexts for API, worker and service code, by OpenTelemetry, which is not imported where tracing is off.

One switch per process: ``start`` turns tracing on, ``stop`` sends what is left and turns it off. What is off does nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from service.tracing.interface import NO_SPAN, Attributes, Span, TraceContext

if TYPE_CHECKING:
    from service.tracing.otel import OtelTracing

_tracing: "OtelTracing | None" = None


def start(endpoint: str | None, service: str, version: str) -> None:
    """Send the spans of this process to the collector at ``endpoint``; nothing where that is None, or where tracing is on.

    ``service`` and ``version`` are what the spans say of their process, unless the variables of OpenTelemetry say something else.
    """
    if endpoint is not None and _tracing is None:
        from service.tracing.otel import OtelTracing, otlp_exporter

        install(OtelTracing(otlp_exporter(endpoint), service, version))


def install(tracing: "OtelTracing") -> None:
    """Turn tracing on, with an exporter of the caller's choice."""
    global _tracing
    _tracing = tracing


def stop() -> None:
    """Send what is left, for some seconds at most, and turn tracing off."""
    global _tracing
    tracing, _tracing = _tracing, None
    if tracing is not None:
        tracing.shut_down()


def active() -> "OtelTracing | None":
    """The tracer of this process; None where tracing is off."""
    return _tracing


def current_context() -> TraceContext | None:
    """The trace context of the span that this thread or task is in; None where there is none."""
    return _tracing.current_context() if _tracing is not None else None


def begin(name: str, attributes: Attributes | None = None) -> Span:
    """Begin a span under the current one, which stays the current one; the caller ends it."""
    return _tracing.begin(name, attributes) if _tracing is not None else NO_SPAN


@contextmanager
def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    parent: TraceContext | None = None,
    client: bool = False,
    identity: str | None = None,
) -> Iterator[Span]:
    """A span that is the current one inside the block. An exception that leaves the block marks it as failed.

    It is a child of ``parent``, or of the current span where that is None. ``client``: the block is a request to another service.
    ``identity`` as ``OtelTracing.begin`` has it.
    """
    if _tracing is None:
        yield NO_SPAN
        return
    with _tracing.current(_tracing.begin(name, attributes, parent=parent, client=client, identity=identity)) as begun:
        yield begun


def record(
    name: str,
    began: datetime,
    ended: datetime,
    attributes: Attributes | None = None,
    *,
    parent: TraceContext | None = None,
    error: str | None = None,
    identity: str | None = None,
) -> None:
    """A span of what is over, failed with the code ``error`` if there is one; ``identity`` as ``OtelTracing.begin`` has it."""
    if _tracing is not None:
        done = _tracing.begin(name, attributes, parent=parent, began=began, identity=identity)
        if error is not None:
            done.fail(error)
        done.end(ended)


@contextmanager
def new_trace(name: str, attributes: Attributes | None = None) -> Iterator[Span]:
    """The first span of another trace, linked to the current span: for one of many things that a request causes."""
    if _tracing is None:
        yield NO_SPAN
        return
    with _tracing.current(_tracing.begin(name, attributes, linked=True)) as begun:
        yield begun
