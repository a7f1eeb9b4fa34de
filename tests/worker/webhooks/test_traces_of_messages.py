"""Trace context of webhook messages: the receiver gets that of the job, or none."""

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from service.jobs import commands
from service.tracing import spans
from tests.recorded_traces import RecordedTraces, parent_id, span_id, trace_id
from tests.webhook_receiver import webhook_receiver
from tests.worker.conftest import WorkerHarness
from tests.worker.webhooks.test_dispatcher import cancel_a_job, make_due, register
from worker.context import Context
from worker.webhooks.dispatcher import WebhookDispatcher

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def harness(harness: WorkerHarness) -> WorkerHarness:
    """Allowed to call this machine, in the clear."""
    local = {"webhook_allow_private": True, "webhook_allow_http": True, "webhook_poll_seconds": 0.05}
    return WorkerHarness(Context(harness.context.settings.model_copy(update=local), harness.context.database))


def test_a_receiver_gets_the_trace_of_its_job(harness: WorkerHarness, traces: RecordedTraces) -> None:
    with webhook_receiver(500, 204) as receiver:
        webhook_id, _ = register(harness, receiver.url)
        with spans.span("request"):
            job_id = harness.submit()
        with harness.context.database.write() as session:
            commands.request_cancel(session, job_id)
        for _ in range(2):
            assert WebhookDispatcher(harness.context).tick() == 1
            make_due(harness)
        sent = [headers["traceparent"] for _, headers, _ in receiver.requests]
    refused, delivered = [span for span in traces.spans if span.name == "webhook.deliver"]
    assert sent == [f"00-{trace_id(span)}-{span_id(span)}-03" for span in (refused, delivered)]
    assert {parent_id(span) for span in (refused, delivered)} == {span_id(traces.named("request"))}
    assert (refused.kind, refused.status.status_code, delivered.status.status_code) == (
        SpanKind.CLIENT,
        StatusCode.ERROR,
        StatusCode.UNSET,
    )
    assert (refused.attributes or {})["error.type"] == "500"
    said = {"espalier.job.id": job_id, "espalier.webhook.id": webhook_id, "espalier.message.attempt": 2}
    assert said.items() <= (delivered.attributes or {}).items()
    assert "hook?a=b" not in delivered.to_json(), "URLs of receivers may be secrets"


def test_a_receiver_gets_no_trace_where_there_is_none(harness: WorkerHarness) -> None:
    with webhook_receiver() as receiver:
        register(harness, receiver.url)
        cancel_a_job(harness)
        assert WebhookDispatcher(harness.context).tick() == 1
        assert "traceparent" not in receiver.requests[0][1]
