"""Collector of traces on this machine: takes OTLP over HTTP and keeps the spans by name."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span


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

    class Handler(BaseHTTPRequestHandler):
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

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
