"""Spans of one attempt: the wait before it, the attempt, and one for each phase of its trainer.

Used by ``worker.run.supervisor`` and, for attempts whose worker is lost, by ``worker.maintenance.maintainer``. The trainer knows
nothing of tracing: its phases begin when its events arrive, by this worker's clock.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pruning.events import CheckpointEvent, ErrorEvent, Event, PhaseEvent, StartedEvent, StepEvent
from service.db.models import Job, kind_of
from service.jobs.fence import Fence
from service.jobs.reaper import WORKER_LOST
from service.states import JobKind
from service.tracing import spans
from service.tracing.interface import NO_SPAN, Attributes, Span
from worker.run.claimed_job import ClaimedJob

_ATTEMPT = "job.attempt"
_MOST_PHASES = 100
"""Phases of one trainer that get a span; a run has some ten, and a trainer that repeats itself must not flood the collector."""


@contextmanager
def attempt_span(claimed: ClaimedJob, worker_id: str) -> Iterator[Span]:
    """The span of an attempt, current inside the block, after one for the time that the job waited to be claimed.

    It is dropped where an exception leaves the block: the job is still this worker's then, and the reaper that takes it away ends
    the span, as it does for a worker that was killed.
    """
    if claimed.waited is not None:
        waited = _job_attributes(claimed.fence, claimed.kind, claimed.spec)
        spans.record("job.queued", *claimed.waited, waited, parent=claimed.trace_context)
    attributes = _attempt_attributes(claimed.fence, claimed.kind, claimed.spec, worker_id)
    with spans.span(_ATTEMPT, attributes, parent=claimed.trace_context, identity=_identity(claimed.fence)) as attempt:
        try:
            yield attempt
        except BaseException:
            attempt.drop()
            raise


def record_lost_attempt(job: Job) -> None:
    """The span of an attempt whose lease has expired, from its claim to its end; ``job`` as the reaper left it."""
    fence = Fence.from_row(job)
    if job.claimed_at is not None:  # any job that has run since there is such a time
        attributes = _attempt_attributes(fence, kind_of(job), job.spec, job.worker_id or "")
        spans.record(
            _ATTEMPT,
            job.claimed_at,
            job.updated_at,
            {**attributes, "espalier.outcome": job.status},
            parent=job.trace_context,
            error=WORKER_LOST["code"],
            identity=_identity(fence),
        )


class PhaseSpans:
    """The span of the phase that a trainer is in."""

    def __init__(self, attempt: Span) -> None:
        """``attempt`` is the current span."""
        self._attempt = attempt
        self._phase: str | None = None
        self._span = NO_SPAN
        self._begun = self._step = 0

    def enter(self, phase: str) -> None:
        """Begin a phase, and end the one before; nothing where the trainer is in it already."""
        if phase != self._phase and self._begun < _MOST_PHASES:
            self.leave()
            self._phase, self._span = phase, spans.begin(f"trainer.{phase}")
            self._begun += 1

    def leave(self) -> None:
        """End the phase; there is none from now on."""
        if self._step:
            self._span.set({"espalier.step": self._step})
        self._span.end()
        self._phase, self._span, self._step = None, NO_SPAN, 0

    def handle(self, event: Event) -> None:
        """What an event of the trainer says of its phase."""
        if isinstance(event, PhaseEvent):
            self.enter(event.phase)
        elif isinstance(event, StartedEvent):
            self._attempt.set({"espalier.total_steps": event.total_steps, "espalier.resumed_from": event.resumed_from})
        elif isinstance(event, StepEvent):
            self._step = event.step
        elif isinstance(event, CheckpointEvent):
            self._span.event("checkpoint", {"espalier.step": event.step})
        elif isinstance(event, ErrorEvent):
            self._span.fail(event.code)


def _job_attributes(fence: Fence, kind: JobKind, spec: Mapping[str, Any]) -> Attributes:
    known = {f"espalier.{name}": spec[name] for name in ("method", "sparsity") if isinstance(spec.get(name), str | float | int)}
    return {"espalier.job.id": fence.job_id, "espalier.job.attempt": fence.attempt, "espalier.job.kind": kind, **known}


def _attempt_attributes(fence: Fence, kind: JobKind, spec: Mapping[str, Any], worker_id: str) -> Attributes:
    return {**_job_attributes(fence, kind, spec), "espalier.worker.id": worker_id}


def _identity(fence: Fence) -> str:
    return f"{_ATTEMPT} {fence.job_id} {fence.attempt}"
