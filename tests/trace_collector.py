"""Collector of traces on this machine: takes OTLP over HTTP and keeps the spans by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.http_servers import Quiet, serving


@dataclass
class TraceCollector:
    """What was received."""

    url: str = ""
    spans: list[tuple[str, Span]] = field(default_factory=list)
    """``service.name`` and the span."""

    def of_trace(self, trace_id: str) -> list[tuple[str, Span]]:
        """Those of one trace, in the order of their starts."""
        found = [(service, span) for service, span in self.spans if span.trace_id.hex() == trace_id]
        return sorted(found, key=lambda one: one[1].start_time_unix_nano)


@contextmanager
def trace_collector() -> Iterator[TraceCollector]:
    """A collector that listens inside the block."""
    state = TraceCollector()

    class Handler(Quiet, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
            request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            for resource in request.resource_spans:
                named = {each.key: each.value.string_value for each in resource.resource.attributes}
                spans = [span for scope in resource.scope_spans for span in scope.spans]
                state.spans.extend((named["service.name"], span) for span in spans)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

    with serving(Handler) as url:
        state.url = url
        yield state
