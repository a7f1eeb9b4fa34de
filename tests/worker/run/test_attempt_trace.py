"""Spans of attempts: the wait, the phases and the artifacts in one tree; failures by their codes; attempts of killed workers."""

import contextlib
import json
import logging
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from sqlalchemy import update

from pruning.events import CheckpointEvent, Event, PhaseEvent
from service.db.models import Job
from service.log_format import log_handler
from service.log_settings import LogSettings
from service.states import Status
from service.tracing import spans
from tests.recorded_traces import RecordedTraces, parent_id, span_id, trace_id
from tests.service import factories
from tests.services import free_port
from tests.waiting import wait_until
from tests.worker.conftest import WorkerHarness
from worker.maintenance.maintainer import Maintainer
from worker.run import attempt_trace
from worker.run.attempt_trace import PhaseSpans, attempt_span
from worker.run.outcome import Outcome

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def submit(harness: WorkerHarness, traces: RecordedTraces) -> tuple[str, ReadableSpan]:
    """A job that a traced request submitted, and the span of that."""
    with spans.span("request"):
        job_id = harness.submit(method="smp-l")
    return job_id, traces.named("request")


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_an_attempt_is_one_tree_under_the_request(harness: WorkerHarness, traces: RecordedTraces) -> None:
    job_id, request = submit(harness, traces)
    assert harness.run(harness.claim(), "success") is Outcome.SUCCEEDED
    assert {trace_id(span) for span in traces.spans} == {trace_id(request)}
    attempt = traces.named("job.attempt")
    children = {span.name for span in traces.spans if parent_id(span) == span_id(attempt)}
    assert children == {"attempt.prepare", "trainer.starting", "trainer.training", "artifact.store", "attempt.finish"}
    assert [span.name for span in traces.spans if parent_id(span) == span_id(request)] == ["job.queued", "job.attempt"]
    about = {"espalier.job.id": job_id, "espalier.job.attempt": 1, "espalier.job.kind": "pruning", "espalier.method": "smp-l"}
    assert about.items() <= attributes(traces.named("job.queued")).items()
    assert (about | {"espalier.outcome": "succeeded"}).items() <= attributes(attempt).items()
    training = traces.named("trainer.training")
    assert [(event.name, dict(event.attributes or {})) for event in training.events] == [("checkpoint", {"espalier.step": 4})]
    stored = [attributes(span) for span in traces.spans if span.name == "artifact.store"]
    assert stored[0] == {"espalier.artifact": "mask.safetensors", "espalier.bytes": 6}
    assert attempt.status.status_code is StatusCode.UNSET


def test_a_failure_is_recorded_by_its_code_alone(harness: WorkerHarness, traces: RecordedTraces) -> None:
    submit(harness, traces)
    harness.run(harness.claim(), "permanent")
    for name in ("trainer.training", "job.attempt"):
        failed = traces.named(name)
        assert (failed.status.status_code, attributes(failed)["error.type"]) == (StatusCode.ERROR, "model_head_missing")
        assert "take another" not in failed.to_json()


def test_the_reaper_ends_the_attempt_of_a_killed_worker(harness: WorkerHarness, traces: RecordedTraces) -> None:
    """What that worker had sent already is below the span that the reaper sends."""
    job_id, request = submit(harness, traces)
    claimed = harness.claim()
    with contextlib.suppress(RuntimeError), attempt_span(claimed, harness.context.worker_id):
        spans.begin("attempt.prepare").end()
        raise RuntimeError("as if it were killed")
    assert traces.names() == ["request", "job.queued", "attempt.prepare"]
    factories.expire_leases(harness.context.database, job_id)
    harness.context.stopping.set()  # it only reaps
    Maintainer(harness.context).tick()
    lost = traces.named("job.attempt")
    assert (trace_id(lost), parent_id(lost)) == (trace_id(request), span_id(request))
    assert parent_id(traces.named("attempt.prepare")) == span_id(lost)
    assert lost.status.status_code is StatusCode.ERROR
    said = {"error.type": "worker_lost", "espalier.outcome": "queued", "espalier.worker.id": harness.context.worker_id}
    assert said.items() <= attributes(lost).items()


def test_a_worker_that_lost_its_lease_leaves_the_span_to_the_reaper(harness: WorkerHarness, traces: RecordedTraces) -> None:
    job_id, _ = submit(harness, traces)
    running = harness.start(harness.claim(), "wait")
    wait_until((harness.work_folder(job_id) / "started").exists, what="the trainer")
    with harness.context.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(attempt=Job.attempt + 1))
    assert running.result() is Outcome.ABANDONED
    assert "job.attempt" not in traces.names()
    assert "trainer.training" in traces.names()


def test_every_line_from_the_claim_on_has_the_trace_id(
    harness: WorkerHarness, traces: RecordedTraces, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, request = submit(harness, traces)
    claimed = harness.claim()
    monkeypatch.setattr(caplog.handler, "formatter", log_handler("worker", LogSettings(log_format="json")).formatter)
    with caplog.at_level(logging.INFO, "worker"):
        harness.run(claimed, "permanent")
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert f"claimed: {claimed}" in [line["event"] for line in lines]
    assert {line.get("trace_id") for line in lines} == {trace_id(request)}


def test_a_second_attempt_has_a_span_and_a_wait_of_its_own(harness: WorkerHarness, traces: RecordedTraces) -> None:
    job_id, request = submit(harness, traces)
    harness.run(harness.claim(), "temporary")
    assert harness.job(job_id).status is Status.QUEUED
    harness.run(harness.claim(), "permanent")
    first, second = [span for span in traces.spans if span.name == "job.attempt"]
    waits = [span for span in traces.spans if span.name == "job.queued"]
    assert [attributes(span)["espalier.job.attempt"] for span in (first, second, *waits)] == [1, 2, 1, 2]
    assert {parent_id(span) for span in (first, second, *waits)} == {span_id(request)}
    assert span_id(first) != span_id(second)
    assert (waits[1].start_time or 0) >= (waits[0].end_time or 0)


def test_an_untraced_job_has_a_trace_of_each_attempt(harness: WorkerHarness, traces: RecordedTraces) -> None:
    harness.submit()
    harness.run(harness.claim(), "permanent")
    assert parent_id(traces.named("job.attempt")) is None


@pytest.mark.usefixtures("database_url")  # like all others
def test_a_trainer_that_repeats_itself_gets_few_spans(traces: RecordedTraces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt_trace, "_MOST_PHASES", 3)
    phases: list[Event] = [PhaseEvent(phase=name) for name in ("downloading", "tokenizing", "tokenizing", "training", "evaluating")]
    with spans.span("job.attempt"):
        spanner = PhaseSpans(spans.begin("unused"))
        for event in [*phases, CheckpointEvent(step=1)]:
            spanner.handle(event)
        spanner.leave()
    assert traces.names() == ["job.attempt", "trainer.downloading", "trainer.tokenizing", "trainer.training"]
    assert [event.name for event in traces.named("trainer.training").events] == ["checkpoint"]


def test_an_unreachable_collector_does_not_disturb_a_job(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.tracing.otel._SHUTDOWN_SECONDS", 0.05)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")  # it is tried while the job runs
    spans.start(f"http://127.0.0.1:{free_port()}", "espalier-test", "0")
    try:
        submitted = harness.submit()
        assert harness.run(harness.claim(), "success") is Outcome.SUCCEEDED
        wait_until(lambda: "Transient error" in caplog.text, what="a line in the log")
    finally:
        spans.stop()
    assert harness.job(submitted).status is Status.SUCCEEDED
