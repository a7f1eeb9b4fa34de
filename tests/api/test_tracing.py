"""Spans of requests: one for each, by the template of its route, under the caller's own, without what users sent."""

from typing import Any

from fastapi.testclient import TestClient
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import select

from service.db.engine import Database
from service.db.models import Job
from tests.api.conftest import BODY
from tests.recorded_traces import RecordedTraces, parent_id, span_id, trace_id

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


def contexts(database: Database) -> dict[str, Any]:
    with database.read() as session:
        return {job.id: job.trace_context for job in session.scalars(select(Job))}


def test_a_job_carries_the_trace_of_the_request_that_submitted_it(
    traces: RecordedTraces, client: TestClient, database: Database
) -> None:
    posted = client.post("/v1/jobs", json=BODY, headers=CALLER)
    assert posted.status_code == 202, posted.text
    request = traces.named("POST /v1/jobs")
    assert (request.kind, trace_id(request), parent_id(request)) == (SpanKind.SERVER, TRACE, SPAN)
    assert contexts(database) == {posted.json()["id"]: {"traceparent": f"00-{trace_id(request)}-{span_id(request)}-01"}}


def test_each_job_of_a_sweep_has_a_trace_of_its_own_linked_to_the_request(
    traces: RecordedTraces, client: TestClient, database: Database
) -> None:
    posted = client.post("/v1/sweeps", json={"base": BODY, "sparsities": [0.5, 0.8]}, headers=CALLER)
    assert posted.status_code == 202, posted.text
    request = traces.named("POST /v1/sweeps")
    submitted = [span for span in traces.spans if span.name == "job.submitted"]
    assert len({trace_id(span) for span in [request, *submitted]}) == 3
    assert [[link.context for link in span.links] for span in submitted] == [[request.context]] * 2
    stored = {(span.attributes or {})["espalier.job.id"]: f"00-{trace_id(span)}-{span_id(span)}-03" for span in submitted}
    assert {job: context["traceparent"] for job, context in contexts(database).items()} == stored


def test_requests_are_named_by_their_routes_and_say_nothing_of_users(traces: RecordedTraces, client: TestClient) -> None:
    secret = "esp_0123456789"
    headers = {"authorization": f"Bearer {secret}", "cookie": f"session={secret}", "x-secret": secret}
    assert client.get("/v1/jobs/job_1/events?after=0", headers=headers).status_code == 404
    assert client.post(f"/v1/jobs?label={secret}", json={"model": secret}, headers=headers).status_code == 422
    assert client.get("/livez").status_code == 200
    assert traces.names() == ["GET /v1/jobs/{job_id}/events", "POST /v1/jobs", "GET /livez"]
    assert secret not in "".join(span.to_json() for span in traces.spans)
    missing, refused, _ = traces.spans
    assert (missing.attributes or {})["http.response.status_code"] == 404
    assert (refused.attributes or {})["url.query"] == "REDACTED"
    assert {span.status.status_code for span in traces.spans} == {StatusCode.UNSET}, "the client's fault is none of the service's"


def test_a_process_that_does_not_trace_stores_no_context(client: TestClient, database: Database) -> None:
    assert client.post("/v1/jobs", json=BODY, headers=CALLER).status_code == 202
    assert [*contexts(database).values()] == [None]
