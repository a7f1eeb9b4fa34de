"""OpenTelemetry tracer of one process: spans sent in batches over OTLP/HTTP, and trace contexts as W3C headers.

Imported by ``service.tracing.spans`` where tracing is on, and nowhere else: it needs the extra ``otel``. Batches are sent by a
thread of the SDK's, which restarts after a fork. What a collector does not take within seconds is dropped, which the log
says; no job and no request waits for it.
"""

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.tracing.interface import Attributes, TraceContext

_SHUTDOWN_SECONDS = 5.0
_LONGEST_CODE = 100
_LONGEST_STATE = 512
"""Characters of ``tracestate`` that W3C asks to pass on; a longer one would be stored with every job of its sender."""
_W3C = TraceContextTextMapPropagator()
_given_id: ContextVar[int | None] = ContextVar("given_id", default=None)
log = logging.getLogger(__name__)


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Sends to the collector at ``endpoint``, which lacks OTLP's path; headers, timeout and certificates as ``OTEL_…`` has them."""
    return OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")


class OtelSpan:
    """``service.tracing.interface.Span`` by OpenTelemetry."""

    def __init__(self, span: trace.Span) -> None:
        self.otel = span
        self._dropped = False

    def set(self, attributes: Attributes) -> None:
        self.otel.set_attributes(attributes)

    def event(self, name: str, attributes: Attributes) -> None:
        self.otel.add_event(name, attributes)

    def fail(self, code: str) -> None:
        self.otel.set_attribute("error.type", code[:_LONGEST_CODE])
        self.otel.set_status(StatusCode.ERROR)

    def end(self, at: datetime | None = None) -> None:
        """``at``: when it ended, if not now; never before it began, though clocks differ."""
        if not self._dropped:
            began = self.otel.start_time if isinstance(self.otel, SdkSpan) else None
            self.otel.end(None if at is None else max(_nanoseconds(at), began or 0))

    def drop(self) -> None:
        self._dropped = True


class OtelTracing:
    """The tracer of one process."""

    def __init__(self, exporter: SpanExporter, service: str, version: str) -> None:
        """``service`` and ``version`` give way to ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``."""
        ours = Resource.create({"service.name": service, "service.version": version})
        self.provider = TracerProvider(
            resource=ours.merge(OTELResourceDetector().detect()), id_generator=_SpanIds(), shutdown_on_exit=False
        )
        self.provider.add_span_processor(_QueryRedaction())
        self.provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self.provider.get_tracer("espalier", version)

    def begin(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        parent: TraceContext | None = None,
        client: bool = False,
        linked: bool = False,
        began: datetime | None = None,
        identity: str | None = None,
    ) -> OtelSpan:
        """Begin a span under ``parent``, or under the current span where that is None.

        ``linked``: it begins another trace, with a link to the current span. ``identity``: its id follows from this text, so that
        another process can end a span whose own process is dead, and what was its child is the child of that one.
        """
        context = _W3C.extract(parent, Context()) if parent is not None else Context() if linked else None
        current = trace.get_current_span().get_span_context()
        token = _given_id.set(_id_of(identity) if identity is not None else None)
        try:
            span = self._tracer.start_span(
                name,
                context,
                SpanKind.CLIENT if client else SpanKind.INTERNAL,
                attributes,
                [Link(current)] if linked and current.is_valid else (),
                None if began is None else _nanoseconds(began),
            )
        finally:
            _given_id.reset(token)
        return OtelSpan(span)

    @contextmanager
    def current(self, span: OtelSpan) -> Iterator[OtelSpan]:
        """Make ``span`` the current one inside the block, then end it; as failed where an exception leaves the block."""
        token = otel_context.attach(trace.set_span_in_context(span.otel))
        try:
            yield span
        except BaseException as error:
            span.fail(type(error).__name__)  # its message may be about what users sent
            raise
        finally:
            otel_context.detach(token)
            span.end()

    def current_context(self) -> TraceContext | None:
        """Of the current span, sampled or not; None where there is none."""
        carrier: TraceContext = {}
        _W3C.inject(carrier)
        if len(carrier.get("tracestate", "")) > _LONGEST_STATE:
            del carrier["tracestate"]
        return carrier or None

    def shut_down(self) -> None:
        """Send what is left. Waits for some seconds at most: an unreachable collector must not delay the end of a process."""
        sender = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        sender.start()
        sender.join(_SHUTDOWN_SECONDS)
        if sender.is_alive():
            log.warning("the collector of traces is unreachable: the last spans are lost")


class _SpanIds(RandomIdGenerator):
    """Random ids, except for a span with a given id."""

    def generate_span_id(self) -> int:
        return _given_id.get() or super().generate_span_id()


class _QueryRedaction(SpanProcessor):
    """Takes the query out of the spans of requests: it has labels and cursors of users."""

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        if "url.query" in (span.attributes or {}):
            span.set_attribute("url.query", "REDACTED")


def _id_of(identity: str) -> int:
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8]) or 1


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
