"""Simulated worker: everything a worker process asks of the database, by the functions of the real one, and no trainer.

Called by ``benchmarks.scale.process``. Claim, lease, recorder of events, maintenance and outbox are those of ``worker`` and
``service``; threads of their own are not started, a schedule calls them when their periods have passed.
"""

import logging
import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.scale.schedule import Schedule
from pruning.events import ArtifactEvent, Event, FinishedEvent, PhaseEvent, StartedEvent, StepEvent
from service.errors import LeaseLostError
from service.jobs import claims, heartbeats
from service.webhooks import outbox
from worker.context import Context
from worker.maintenance.maintainer import Maintainer
from worker.run.claimed_job import ClaimedJob
from worker.run.event_recorder import EventRecorder
from worker.run.fenced_writer import FencedWriter
from worker.run.lease import Lease
from worker.run.loop import claim

_JITTER = 0.2
_TOTAL_STEPS = 1000
_DELIVERIES = 32
"""Messages that one worker sends at a time."""
logging.getLogger("worker").setLevel(logging.ERROR)


@dataclass
class Record:
    """What the workers of one process did, to be compared with the rows in the end."""

    claimed: list[tuple[str, int]] = field(default_factory=list)
    """Job and attempt."""
    succeeded: list[str] = field(default_factory=list)
    requeued: list[str] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    leases_lost: int = 0


class _Attempt:
    """One job that a simulated worker runs."""

    def __init__(self, claimed: ClaimedJob, context: Context, work: Path, steps: int) -> None:
        settings = context.settings
        self.claimed = claimed
        self.lease = Lease(
            context.database,
            claimed.fence,
            claimed_at=claimed.claimed_at,
            lease_seconds=settings.lease_seconds,
            heartbeat_seconds=settings.heartbeat_seconds,
        )
        self.recorder = EventRecorder(FencedWriter(context.database, self.lease), work, settings)
        self.steps_left = steps
        self.step = 0
        self.over = False

    def tell(self, event: Event) -> None:
        """Let the recorder read the event as a line of a trainer."""
        self.recorder.handle_line(event.model_dump_json().encode())


class SimulatedWorker:
    """One worker with one slot. The first job after the start is shorter, so that jobs do not end all at once."""

    def __init__(
        self, context: Context, schedule: Schedule, record: Record, work: Path, *, job_seconds: float, step_seconds: float
    ) -> None:
        """``work`` holds the artifacts that every job announces; steps are reported every ``step_seconds``."""
        self._context, self._schedule, self._record, self._work = context, schedule, record, work
        self._maintainer = Maintainer(context, work=lambda _: self._claim_soon(0.0))
        self._steps, self._step_seconds = max(1, round(job_seconds / step_seconds)), step_seconds
        self._next_steps = random.randint(1, self._steps)
        self._attempt: _Attempt | None = None
        self._held = ExitStack()
        self._claiming = False

    def start(self, within_seconds: float) -> None:
        """Schedule the first actions."""
        settings = self._context.settings
        self._schedule.add("maintenance", self._maintain, random.uniform(0, min(within_seconds, settings.rescue_seconds)))
        self._schedule.add("outbox", self._send, random.uniform(0, settings.webhook_poll_seconds))
        self._claim_soon(random.uniform(0, within_seconds))

    def stop(self) -> None:
        """Return the job to the queue and sign off, as a worker does after SIGTERM."""
        if self._attempt is not None and not self._attempt.over:
            attempt = self._attempt
            try:
                attempt.recorder.writer.write(
                    lambda session: claims.requeue(session, attempt.claimed.fence, reason="worker_shutdown")
                )
                self._record.requeued.append(attempt.claimed.fence.job_id)
            except LeaseLostError:
                self._record.leases_lost += 1
        with self._context.database.write() as session:
            heartbeats.remove(session, self._context.worker_id)

    def _maintain(self) -> float:
        self._maintainer.tick()
        return self._context.settings.rescue_seconds * random.uniform(1 - _JITTER, 1 + _JITTER)

    def _send(self) -> float:
        """Deliver due messages without a network."""
        database, settings = self._context.database, self._context.settings
        with database.read() as session:
            due = outbox.any_due(session)
        if due:
            with database.write() as session:
                claimed = outbox.claim(session, limit=_DELIVERIES, lease_seconds=80)
            for one in claimed:
                with database.write() as session:
                    result = outbox.DeliveryResult(status=204)
                    outbox.record_result(session, one.delivery, result, max_attempts=settings.webhook_max_attempts)
        return settings.webhook_poll_seconds

    def _claim_soon(self, delay: float) -> None:
        if self._attempt is None and not self._claiming:
            self._claiming = True
            self._schedule.add("claim", self._claim, delay)

    def _claim(self) -> None:
        try:
            with ExitStack() as stack:
                free = stack.enter_context(self._context.slot())
                claimed = claim(self._context) if free else None
                if claimed is None:
                    return
                stack.enter_context(self._context.release_afterwards(claimed.devices))
                self._held = stack.pop_all()
        finally:
            self._claiming = False
        self._record.claimed.append((claimed.fence.job_id, claimed.fence.attempt))
        attempt = self._attempt = _Attempt(claimed, self._context, self._work, self._next_steps)
        self._next_steps = self._steps
        self._schedule.add("heartbeat", lambda: self._renew(attempt), self._context.settings.heartbeat_seconds)
        self._schedule.add("begin", lambda: self._begin(attempt))

    def _renew(self, attempt: _Attempt) -> float | None:
        return None if attempt.over else attempt.lease.renew()

    def _begin(self, attempt: _Attempt) -> None:
        attempt.tell(PhaseEvent(phase="validating"))
        attempt.tell(
            StartedEvent(
                total_steps=_TOTAL_STEPS,
                model_revision=None,
                base_digest="0" * 64,
                matrices=36,
                masked_weights=21_000_000,
                train_rows=60_000,
                validation_rows=800,
                device="cpu",
                versions={"torch": "2"},
            )
        )
        attempt.tell(PhaseEvent(phase="training"))
        self._schedule.add("step", lambda: self._step(attempt), self._step_seconds)

    def _step(self, attempt: _Attempt) -> float | None:
        attempt.steps_left -= 1
        if attempt.steps_left <= 0:
            self._schedule.add("finish", lambda: self._finish(attempt))
            return None
        attempt.step += 1
        attempt.tell(
            StepEvent(
                step=attempt.step,
                total_steps=_TOTAL_STEPS,
                epoch=0.1,
                loss=random.random(),
                regularizer=random.random(),
                remaining=0.5,
                learning_rate=0.01,
                grad_norm=random.random(),
                rows_per_second=400.0,
                eta_seconds=100.0,
            )
        )
        return self._step_seconds

    def _finish(self, attempt: _Attempt) -> None:
        """Store a mask and end the job, then look for the next."""
        try:
            mask = self._work / "artifacts" / "mask.safetensors"
            attempt.tell(ArtifactEvent.from_file(mask, "application/octet-stream"))
            attempt.tell(FinishedEvent(metrics={"primary_metric": "accuracy", "final": {"accuracy": 0.9}}))
            artifact = attempt.recorder.stored[mask.name]
            attempt.recorder.writer.write(
                lambda session: claims.succeed(session, attempt.claimed.fence, result={"steps": 1000}, mask_artifact_id=artifact)
            )
            self._record.succeeded.append(attempt.claimed.fence.job_id)
        except LeaseLostError:
            self._record.leases_lost += 1
        attempt.over = True
        self._attempt = None
        self._held.close()
        self._claim_soon(0.0)
