"""Metrics of the jobs of one worker: waits in the queue, phases, throughput, ends of attempts, webhook messages.

Held by ``worker.context``. No label names a job, and reasons that a trainer could make up are limited in number.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from pruning.events import ArtifactEvent, BaselineEvent, Event, PhaseEvent, StepEvent
from service.monitoring.definitions import DURATION_BUCKETS, CounterDefinition, GaugeDefinition, HistogramDefinition
from service.monitoring.exemplars import current_exemplar
from service.states import JobKind

QUEUE_WAIT = HistogramDefinition(
    "espalier_queue_wait_seconds",
    "From when a job could have run (submitted, resumed or due again) until this worker claimed it",
    ("kind",),
    buckets=DURATION_BUCKETS,
)
PHASE_SECONDS = HistogramDefinition(
    "espalier_phase_seconds", "How long attempts were in a phase, however it ended", ("phase", "method"), buckets=DURATION_BUCKETS
)
ROWS_PER_SECOND = GaugeDefinition(
    "espalier_trainer_rows_per_second", "Rows per second that the worker's trainers reported last, summed", ("phase", "method")
)
ATTEMPTS = CounterDefinition(
    "espalier_attempts_total", "Attempts that ended, with the error code of those that failed", ("kind", "outcome", "reason")
)
REAPED = CounterDefinition("espalier_leases_reaped_total", "Jobs that it took from workers that did not renew their lease")
ARTIFACT_BYTES = CounterDefinition("espalier_artifact_bytes_total", "Bytes of the artifacts that were stored")
DELIVERY_SECONDS = HistogramDefinition(
    "espalier_webhook_delivery_seconds", "From the start of an attempt to deliver a message until its result", ("outcome",)
)
DEFINITIONS = (QUEUE_WAIT, PHASE_SECONDS, ROWS_PER_SECOND, ATTEMPTS, REAPED, ARTIFACT_BYTES, DELIVERY_SECONDS)
STARTING = "starting"
"""Phase of an attempt until its trainer names one: inputs are fetched, packages imported."""
_REASON = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_REASONS = 100
_OTHER = "other"


class JobMetrics:
    """The instruments of one worker. Any thread may use them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queue_wait = QUEUE_WAIT.create(registry)
        self._phase_seconds = PHASE_SECONDS.create(registry)
        self._attempts = ATTEMPTS.create(registry)
        self._reaped = REAPED.create(registry)
        self._artifact_bytes = ARTIFACT_BYTES.create(registry)
        self._delivery_seconds = DELIVERY_SECONDS.create(registry)
        self._rates = _RateCollector()
        registry.register(self._rates)
        self._reasons: set[str] = set()
        # from absent to 1 Prometheus sees no increase, so what can be known before is there from the start, as 0
        for kind in JobKind:
            self._queue_wait.labels(kind)
            self._attempts.labels(kind, "lost", "lease_lost")
            self._attempts.labels(kind, "succeeded", "none")
        for outcome in ("delivered", "retried", "given_up", "gone"):
            self._delivery_seconds.labels(outcome)

    def claimed(self, kind: JobKind, due_at: datetime, claimed_at: datetime, traceparent: str | None) -> None:
        """Observe the wait of a job that was claimed; both times are the database's, ``traceparent`` is the job's."""
        self._queue_wait.labels(kind).observe(max(0.0, (claimed_at - due_at).total_seconds()), current_exemplar(traceparent))

    @contextmanager
    def attempt(self, kind: JobKind, method: str) -> "Iterator[AttemptMetrics]":
        """Metrics of an attempt that lasts as long as the block."""
        attempt = AttemptMetrics(self, kind, method)
        try:
            yield attempt
        finally:
            attempt.enter_phase(None)

    def reaped(self, jobs: int) -> None:
        """Count jobs whose lease had expired."""
        self._reaped.inc(jobs)

    def delivered(self, outcome: str, seconds: float) -> None:
        """Observe an attempt to deliver a webhook message."""
        self._delivery_seconds.labels(outcome).observe(seconds, current_exemplar())

    def phase_ended(self, phase: str, method: str, seconds: float) -> None:
        """Observe a phase that is over."""
        self._phase_seconds.labels(phase, method).observe(seconds, current_exemplar())

    def set_rate(self, attempt: object, phase: str, method: str, rows_per_second: float) -> None:
        """Set the throughput of an attempt."""
        self._rates.values[attempt] = ((phase, method), rows_per_second)

    def end_rate(self, attempt: object) -> None:
        """Forget the throughput of an attempt."""
        self._rates.values.pop(attempt, None)

    def stored(self, size: int) -> None:
        """Count the bytes of an artifact."""
        self._artifact_bytes.inc(size)

    def attempt_ended(self, kind: JobKind, outcome: str, reason: str) -> None:
        """Count the end of an attempt; ``reason`` may be any text of a trainer."""
        known = reason in self._reasons or (len(self._reasons) < _MOST_REASONS and _REASON.fullmatch(reason) is not None)
        if known:
            self._reasons.add(reason)
        self._attempts.labels(kind, outcome, reason if known else _OTHER).inc()


class AttemptMetrics:
    """Metrics of one attempt."""

    def __init__(self, metrics: JobMetrics, kind: JobKind, method: str) -> None:
        self._metrics, self._kind, self._method = metrics, kind, method
        self._phase: str | None = STARTING
        self._phase_began = time.monotonic()

    def handle(self, event: Event) -> None:
        """Count what the trainer reported, once it is recorded."""
        if isinstance(event, PhaseEvent):
            self.enter_phase(event.phase)
        elif isinstance(event, StepEvent | BaselineEvent):
            self._metrics.set_rate(self, self._phase or STARTING, self._method, event.rows_per_second)
        elif isinstance(event, ArtifactEvent):
            self._metrics.stored(event.bytes)

    def enter_phase(self, phase: str | None) -> None:
        """End the phase that it is in, and begin the next one if there is one."""
        self._metrics.end_rate(self)
        now = time.monotonic()
        if self._phase is not None:
            self._metrics.phase_ended(self._phase, self._method, now - self._phase_began)
        self._phase, self._phase_began = phase, now

    def ended(self, outcome: str, reason: str) -> None:
        """Count the end of the attempt."""
        self._metrics.attempt_ended(self._kind, outcome, reason)


class _RateCollector(Collector):
    """The gauge of throughput: a sum over the trainers that run at the moment of a scrape."""

    def __init__(self) -> None:
        self.values: dict[object, tuple[tuple[str, str], float]] = {}

    def collect(self) -> Iterator[Metric]:
        sums: dict[tuple[str, str], float] = {}
        for labels, rate in list(self.values.values()):
            sums[labels] = sums.get(labels, 0.0) + rate
        yield ROWS_PER_SECOND.family(sums.items())
