"""Spans that a test recorded in place of a collector, and the tree that they are."""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.tracing.otel import OtelTracing


class RecordedTraces:
    """Tracing of this process, with its spans kept in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = OtelTracing(self._exporter, "espalier-test", "0")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All that have ended, in the order of their starts."""
        self.tracing.provider.force_flush()
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> ReadableSpan:
        """The only one of this name."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{len(found)} spans {name} among {[span.name for span in self.spans]}"
        return found[0]

    def names(self) -> list[str]:
        return [span.name for span in self.spans]


def trace_id(span: ReadableSpan) -> str:
    """As in ``traceparent``."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def span_id(span: ReadableSpan) -> str:
    """As in ``traceparent``."""
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def parent_id(span: ReadableSpan) -> str | None:
    """None: it is the first of its trace."""
    return f"{span.parent.span_id:016x}" if span.parent is not None else None
