"""Limits on the events of one attempt."""

import pytest

from pruning.events import CheckpointEvent, LogEvent
from service.states import Status
from tests.worker.conftest import WorkerHarness
from worker.run import report_limits
from worker.run.outcome import Failed, Outcome, RejectedWriteError
from worker.run.report_limits import ReportLimits


def test_messages_beyond_the_limit_are_refused_one_by_one() -> None:
    limits, message = ReportLimits(), LogEvent(message="x")
    assert not limits.admits(message, 65 * 1024)
    assert limits.first_refusal
    assert sum(limits.admits(message, 64 * 1024) for _ in range(100)) == 64
    assert not limits.first_refusal
    assert limits.admits(CheckpointEvent(step=1), 100)


def test_other_events_beyond_the_limits_are_errors() -> None:
    limits, event = ReportLimits(), CheckpointEvent(step=1)
    with pytest.raises(RejectedWriteError, match=r"checkpoint .*65537 "):
        limits.admits(event, 64 * 1024 + 1)
    assert all(limits.admits(event, 64 * 1024) for _ in range(1024))
    with pytest.raises(RejectedWriteError, match=r"\b67108864\b"):
        limits.admits(event, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_flood_of_messages_does_not_fill_the_database(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_limits, "_LOG_BYTES", 256 * 1024)
    job_id = harness.submit()
    assert harness.run(harness.claim(), "chatters") is Outcome.SUCCEEDED
    messages = [event.data["message"] for event in harness.events(job_id) if event.type == "log"]
    assert sum(map(len, messages)) < 256 * 1024
    assert messages.count(report_limits.NOT_KEPT) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_metrics_without_end_are_a_bug(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    outcome = harness.run(harness.claim(), "many_metrics")
    assert isinstance(outcome, Failed)
    assert outcome.code == "trainer_bug"
    assert "evaluation" in outcome.message
    assert harness.job(job_id).status is Status.FAILED
