"""Spans: their parents, failures and contexts; a collector that is silent; and nothing at all where tracing is off."""

import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.trace import StatusCode

from service.tracing import spans
from service.tracing.interface import NO_SPAN
from tests.recorded_traces import RecordedTraces, parent_id, span_id, trace_id
from tests.trace_collector import trace_collector

ROOT = Path(__file__).parents[3]
PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1"}


def test_children_follow_the_current_span_and_the_context_goes_on(traces: RecordedTraces) -> None:
    with spans.span("outer", {"espalier.job.id": "job_1"}, parent=PARENT):
        inner = spans.begin("inner")
        inner.set({"espalier.bytes": 3})
        inner.end()
        context = spans.current_context()
    assert spans.current_context() is None
    outer = traces.named("outer")
    assert context == {"traceparent": f"00-0af7651916cd43dd8448eb211c80319c-{span_id(outer)}-01", "tracestate": "vendor=1"}
    assert (trace_id(outer), parent_id(outer)) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert parent_id(traces.named("inner")) == span_id(outer)
    assert (traces.named("inner").attributes, outer.attributes) == ({"espalier.bytes": 3}, {"espalier.job.id": "job_1"})


def test_a_long_trace_state_is_not_stored(traces: RecordedTraces) -> None:
    long = ",".join(f"vendor{number}={'x' * 200}" for number in range(4))
    with spans.span("outer", parent=PARENT | {"tracestate": long}):
        assert set(spans.current_context() or {}) == {"traceparent"}


def test_what_a_caller_does_not_sample_is_not_recorded_and_still_passed_on(traces: RecordedTraces) -> None:
    with spans.span("outer", parent={"traceparent": PARENT["traceparent"][:-2] + "00"}):
        context = spans.current_context() or {}
    assert context["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert context["traceparent"].endswith("-00")
    assert traces.spans == []


def test_an_exception_fails_the_span_without_its_message(traces: RecordedTraces) -> None:
    with pytest.raises(ValueError, match="a text"), spans.span("outer"):
        raise ValueError("a text of a user")
    outer = traces.named("outer")
    assert (outer.status.status_code, outer.attributes) == (StatusCode.ERROR, {"error.type": "ValueError"})
    assert (outer.status.description, outer.events) == (None, ())


def test_a_span_of_the_past_never_ends_before_it_begins(traces: RecordedTraces) -> None:
    now = datetime.now(UTC)
    spans.record("past", now - timedelta(seconds=2), now, parent=PARENT)
    spans.record("clocks differ", now, now - timedelta(seconds=2), error="worker_lost")
    past, crossed = traces.named("past"), traces.named("clocks differ")
    assert (past.end_time or 0) - (past.start_time or 0) == 2_000_000_000
    assert crossed.end_time == crossed.start_time
    assert (past.status.status_code, crossed.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)


def test_two_processes_mean_the_same_span_by_its_identity(traces: RecordedTraces) -> None:
    now = datetime.now(UTC)
    for attempt in (1, 1, 2):
        spans.record("attempt", now, now, parent=PARENT, identity=f"job_1 {attempt}")
    first, again, second = (span_id(span) for span in traces.spans)
    assert first == again != second


def test_each_of_many_has_a_trace_that_is_linked(traces: RecordedTraces) -> None:
    with spans.span("request"), spans.new_trace("job.submitted"):
        pass
    request, job = traces.named("request"), traces.named("job.submitted")
    assert parent_id(job) is None
    assert trace_id(job) != trace_id(request)
    assert [link.context for link in job.links] == [request.context]


def test_nothing_happens_where_tracing_is_off() -> None:
    assert spans.active() is None
    with spans.span("outer", parent=PARENT) as outer, spans.new_trace("inner") as inner:
        assert outer is inner is spans.begin("deeper") is NO_SPAN
        outer.fail("code")
        assert spans.current_context() is None
    spans.record("past", datetime.now(UTC), datetime.now(UTC))
    spans.start(None, "espalier-test", "0")
    spans.stop()
    assert spans.active() is None


def test_a_collector_that_does_not_answer_holds_up_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.tracing.otel._SHUTDOWN_SECONDS", 0.05)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spans.start(f"http://127.0.0.1:{silent.getsockname()[1]}", "espalier-test", "0")
        with spans.span("outer"):
            pass
        spans.stop()
        sender = next(thread for thread in threading.enumerate() if thread.name == "last spans")
        assert sender.is_alive(), "it waits for the collector, and this test does not"
        assert "the last spans are lost" in caplog.text
    sender.join()


_FORKING = """
import os, sys
from service.tracing import spans
spans.start(sys.argv[1], "espalier-test", "0")
with spans.span("before"):
    pass
child = os.fork()
with spans.span("after" if child else "of the child"):
    pass
spans.stop()
os._exit(0 if not child else os.waitpid(child, 0)[1])
"""


def test_a_process_that_forks_sends_the_spans_of_both() -> None:
    with trace_collector() as collector:
        subprocess.run([sys.executable, "-c", _FORKING, collector.url], cwd=ROOT, check=True, capture_output=True, timeout=60)
        assert sorted(span.name for _, span in collector.spans) == ["after", "before", "of the child"]
        assert {service for service, _ in collector.spans} == {"espalier-test"}


def test_the_variables_of_opentelemetry_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the SDK and of its exporter, except for the endpoint, which is the setting's."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "pruning")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    with trace_collector() as collector:
        spans.start(collector.url, "espalier-test", "0")
        tracing = spans.active()
        assert tracing is not None
        assert (
            tracing.provider.resource.attributes.items()
            >= {"service.name": "pruning", "deployment.environment.name": "test"}.items()
        )
        for parent in (None, PARENT):
            with spans.span("sampled" if parent else "not sampled", parent=parent):
                pass
        spans.stop()
        assert [(service, span.name) for service, span in collector.spans] == [("pruning", "sampled")]
