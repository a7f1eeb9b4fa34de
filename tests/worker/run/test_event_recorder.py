"""Records of a trainer's reports: events, the latest metrics, warnings, artifacts and the result."""

import pytest

from service.states import Status
from tests.worker.conftest import WorkerHarness
from worker.run.outcome import Outcome

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_warnings_of_the_trainer_are_kept_with_the_job_and_change_no_state(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    assert harness.run(harness.claim(), "at_chance") is Outcome.SUCCEEDED
    job = harness.job(job_id)
    assert job.status is Status.SUCCEEDED
    assert job.warnings == [{"code": "predicts_one_class", "message": "the final mask predicts one class", "remedy": "More rows."}]
    assert "warning" in [event.type for event in harness.events(job_id)]


@sqlite_only
def test_a_baseline_is_progress_and_leaves_the_metrics_of_the_mask_alone(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    assert harness.run(harness.claim(), "with_baseline") is Outcome.SUCCEEDED
    job = harness.job(job_id)
    recorded = [event.data for event in harness.events(job_id) if event.type == "baseline"]
    assert [(data["step"], data["rows_per_second"]) for data in recorded] == [(1, 40.0), (2, 40.0)]
    assert recorded[-1]["metrics"] == {"accuracy": 0.95}
    assert (job.metrics["loss"], job.metrics["validation_accuracy"], job.metrics["rows_per_second"]) == (0.25, 0.9, 100.0)
    assert (job.metrics["baseline_step"], job.metrics["baseline_rows_per_second"]) == (2, 40.0)
    assert (job.step, job.total_steps) == (4, 4)


def test_success_records_events_metrics_and_artifacts(harness: WorkerHarness) -> None:
    job_id = harness.submit()
    assert harness.run(harness.claim(), "success") is Outcome.SUCCEEDED
    job = harness.job(job_id)
    assert (job.status, job.step, job.total_steps, job.attempts_spent) == (Status.SUCCEEDED, 4, 4, 0)
    assert job.spec["validation_share"] == 0.25, "the trainer's, as the spec had none"
    assert job.metrics["loss"] == 0.25
    assert job.metrics["validation_accuracy"] == 0.9
    assert job.result == {"before": {"accuracy": 0.5}, "final": {"accuracy": 0.9}, "remaining": 0.5}
    events = harness.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    recorded = [event.type for event in events]
    expected = ["created", "status", "phase", "started", "evaluation", "checkpoint", "artifact", "artifact", "evaluation"]
    assert recorded == [*expected, "finished", "status"]
    artifacts = harness.artifacts(job_id)
    assert set(artifacts) == {"mask.safetensors", "report.json"}
    assert job.mask_artifact_id == artifacts["mask.safetensors"].id
    steps = [(row.step, "loss" in row.values) for row in harness.metrics(job_id)]
    assert steps[0] == (0, False)
    assert (4, True) in steps
    assert not harness.work_folder(job_id).exists()
