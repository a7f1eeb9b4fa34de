"""Job metrics of a worker: waits, phases, throughput, ends of attempts."""

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import update

from pruning.events import BaselineEvent, PhaseEvent
from service.db.clock import now_sql
from service.db.models import Job
from service.states import JobKind
from tests.worker.conftest import WorkerHarness
from worker.maintenance.maintainer import Maintainer
from worker.monitoring.job_metrics import JobMetrics

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def attempts(harness: WorkerHarness) -> dict[tuple[str, str], float]:
    """Attempts to prune by outcome and reason, except for those that stayed at zero."""
    return attempts_in(harness.context.registry)


def attempts_in(registry: CollectorRegistry) -> dict[tuple[str, str], float]:
    found = [sample for family in registry.collect() for sample in family.samples if sample.name == "espalier_attempts_total"]
    return {(sample.labels["outcome"], sample.labels["reason"]): sample.value for sample in found if sample.value}


def value(harness: WorkerHarness, name: str, **labels: str) -> float | None:
    return harness.context.registry.get_sample_value(f"espalier_{name}", labels)


@on_sqlite
def test_a_run_leaves_its_wait_phases_bytes_and_end(harness: WorkerHarness) -> None:
    job_id = harness.submit(method="smp-s")
    with harness.context.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(not_before=now_sql(-100)))
    harness.run(harness.claim(), "success")
    assert value(harness, "queue_wait_seconds_count", kind="pruning") == 1
    assert 100 <= (value(harness, "queue_wait_seconds_sum", kind="pruning") or 0) < 160
    for phase in ("starting", "training"):
        assert value(harness, "phase_seconds_count", phase=phase, method="smp-s") == 1
    assert value(harness, "artifact_bytes_total") == sum(artifact.size for artifact in harness.artifacts(job_id).values()) > 0
    assert attempts(harness) == {("succeeded", "none"): 1}


@on_sqlite
@pytest.mark.parametrize(
    ("behaviour", "outcome", "reason"), [("segfault", "retried", "trainer_crashed"), ("permanent", "failed", "model_head_missing")]
)
def test_a_failed_attempt_is_counted_with_its_code(harness: WorkerHarness, behaviour: str, outcome: str, reason: str) -> None:
    harness.submit()
    harness.run(harness.claim(), behaviour)
    assert attempts(harness) == {(outcome, reason): 1}


@on_sqlite
def test_a_lost_lease_is_counted_by_who_lost_it_and_by_who_took_it(harness: WorkerHarness) -> None:
    job_id, claimed = harness.submit(), harness.claim()
    with harness.context.database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(lease_expires_at=now_sql(-1)))
    Maintainer(harness.context, lambda context: None).tick()
    harness.run(claimed, "success")
    assert value(harness, "leases_reaped_total") == 1
    assert attempts(harness) == {("lost", "lease_lost"): 1}


def test_throughput_is_the_sum_of_what_trains_now() -> None:
    registry = CollectorRegistry()
    metrics = JobMetrics(registry)
    step = BaselineEvent(step=1, total_steps=2, loss=1.0, learning_rate=0.1, rows_per_second=40.0, eta_seconds=1.0)

    def rate() -> float | None:
        return registry.get_sample_value("espalier_trainer_rows_per_second", {"phase": "training", "method": "smp-s"})

    with metrics.attempt(JobKind.PRUNING, "smp-s") as first, metrics.attempt(JobKind.PRUNING, "smp-s") as second:
        for attempt in (first, second):
            attempt.handle(PhaseEvent(phase="training"))
            attempt.handle(step)
        assert rate() == 80
        second.handle(PhaseEvent(phase="saving"))
        assert rate() == 40
    assert rate() is None


def test_a_trainer_cannot_add_time_series_without_end() -> None:
    registry = CollectorRegistry()
    metrics = JobMetrics(registry)
    for i in range(300):
        metrics.attempt_ended(JobKind.PRUNING, "failed", f"code_{i}")
    metrics.attempt_ended(JobKind.PRUNING, "failed", "Not a code")
    metrics.attempt_ended(JobKind.PRUNING, "failed", "code_1")
    found = attempts_in(registry)
    assert len(found) == 101
    assert (found["failed", "code_1"], found["failed", "other"]) == (2, 201)


def test_the_first_loss_and_the_first_message_given_up_are_an_increase() -> None:
    registry = CollectorRegistry()
    JobMetrics(registry)
    lost = {"kind": "pruning", "outcome": "lost", "reason": "lease_lost"}
    assert registry.get_sample_value("espalier_attempts_total", lost) == 0
    assert registry.get_sample_value("espalier_webhook_delivery_seconds_count", {"outcome": "given_up"}) == 0
