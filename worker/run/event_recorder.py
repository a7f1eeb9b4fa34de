"""Event recorder: a trainer's events stored as rows, its numbers as metrics, its files as artifacts.

Called by ``worker.run.monitor`` with one line at a time. Steps come about once a second for hours; they are thinned out, so that
a job leaves thousands of metric rows and not tens of thousands, while the latest is always on the job itself.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from pruning.events import (
    ArtifactEvent,
    BaselineEvent,
    CheckpointEvent,
    ErrorEvent,
    EvaluationEvent,
    Event,
    FinishedEvent,
    PhaseEvent,
    StartedEvent,
    StepEvent,
    WarningEvent,
    parse_line,
)
from service import failpoints
from service.access.quotas import Quota
from service.artifacts import store
from service.db.models import RunWarning
from service.errors import ArtifactMismatchError
from service.folder_cache import folder_bytes
from service.jobs import claims
from service.jobs.fence import Fence
from service.settings import Settings
from service.tracing import spans
from worker.run.fenced_writer import FencedWriter
from worker.run.outcome import CancelledError, InvalidArtifactError
from worker.run.pipes import Redactor, TailBuffer, storable_text
from worker.run.report_limits import NOT_KEPT, ReportLimits

_METRIC_SECONDS = 0.5
_METRIC_SHARE = 1 / 500
"""Pause between metric rows as a share of the age of the run: an hour leaves about 1,500 rows, a day about 2,700."""
_UNREADABLE_KEPT = 100
_UNREADABLE_CHARACTERS = 500
_STARTS_OVER = "an earlier attempt had reached step {step}; none of its checkpoints is available here, so the run starts over"
log = logging.getLogger(__name__)


class EventRecorder:
    """The record of one attempt."""

    def __init__(self, writer: FencedWriter, work: Path, settings: Settings, reached_step: int = 0) -> None:
        """``reached_step``: steps that earlier attempts had completed."""
        self.writer = writer
        self.work = work
        """The attempt's folder, in which the trainer leaves its files."""
        self.redact = Redactor()
        """Applied to everything that is recorded."""
        self.stderr = TailBuffer(settings.log_tail_bytes, self.redact)
        """The end of the trainer's standard error."""
        self.error: ErrorEvent | None = None
        self.finished: FinishedEvent | None = None
        self.stored: dict[str, int] = {}
        """Ids of the artifacts stored, by name."""
        self.last_event_at = time.monotonic()
        """When the trainer last emitted an event."""
        self.on_checkpoint: Callable[[], None] = lambda: None
        """Called after every checkpoint."""
        self.on_event: Callable[[Event], None] = lambda event: None
        """Called before an event is recorded."""
        self.on_recorded: Callable[[Event], None] = lambda event: None
        """Called with every event that was recorded or, of steps, held back."""
        self._settings, self._reached_step = settings, reached_step
        self._began = self.last_event_at
        self._metric_due = 0.0
        self._pending: StepEvent | None = None
        self._unreadable = 0
        self._limits = ReportLimits()

    def handle_line(self, line: bytes) -> None:
        """Record one line of the trainer's standard output.

        Raises LeaseLostError, CancelledError, InvalidArtifactError, QuotaExceededError, RejectedWriteError, and
        StorageUnavailableError or the database's error when one of them stays unreachable.
        """
        line = self.redact(line)
        try:
            event = parse_line(line)
        except ValidationError:
            self._record_unreadable(line)
            return
        self.on_event(event)
        if isinstance(event, StepEvent):
            self._handle_step(event)
        else:
            self.flush()
            if self._limits.admits(event, len(line)):
                self._record(event)
            elif self._limits.first_refusal:
                self.record_event("log", {"level": "warning", "message": NOT_KEPT})
        self.on_recorded(event)
        self.last_event_at = time.monotonic()  # not before: waiting for the database is no silence of the trainer

    def flush(self) -> None:
        """Write the latest step, if it was held back."""
        if self._pending is not None:
            self._write_step(self._pending)

    def close(self) -> None:
        """Store the end of the trainer's standard error with the job."""
        if text := self.stderr.text():
            self.record_event("stderr", {"text": text, "cut": self.stderr.cut})

    def record_event(self, kind: str, data: dict[str, Any]) -> None:
        """Record an event. Raises as ``handle_line`` does."""
        self.writer.write(lambda session: claims.record_event(session, self.writer.fence, kind, data))

    def _record_unreadable(self, line: bytes) -> None:
        text = storable_text(line)[:_UNREADABLE_CHARACTERS]
        log.warning("the trainer wrote a line that is not an event: %s", text)
        self._unreadable += 1
        if self._unreadable <= _UNREADABLE_KEPT:  # excess output goes to the worker's log, not to the database
            self.record_event("log", {"level": "warning", "source": "stdout", "message": text})

    def _handle_step(self, event: StepEvent) -> None:
        now = time.monotonic()
        self._pending = event
        if now >= self._metric_due or event.step == event.total_steps:
            self._write_step(event)
            self._metric_due = now + max(_METRIC_SECONDS, (now - self._began) * _METRIC_SHARE)

    def _write_step(self, event: StepEvent) -> None:
        self._pending = None
        values = event.model_dump(exclude={"event", "time", "step", "total_steps", "eta_seconds"}, exclude_none=True)

        def change(session: Session) -> None:
            claims.record_step(
                session,
                self.writer.fence,
                step=event.step,
                total_steps=event.total_steps,
                eta_seconds=event.eta_seconds,
                values=values,
            )
            failpoints.hit(failpoints.Failpoint.METRICS_WRITTEN)

        self.writer.write(change)

    def _record(self, event: Event) -> None:
        """Record anything but a step: what it changes on the job, and the event itself, in one transaction."""
        if isinstance(event, ArtifactEvent):
            with spans.span("artifact.store", {"espalier.artifact": event.name, "espalier.bytes": event.bytes}):
                self._store(event)
        if isinstance(event, ErrorEvent):
            self.error = event
        if isinstance(event, FinishedEvent):
            self.finished = event

        def change(session: Session) -> None:
            _apply(session, self.writer.fence, event)
            if isinstance(event, CheckpointEvent):
                kept = folder_bytes(self.work / "checkpoints")
                claims.set_progress(session, self.writer.fence, checkpoint_bytes=kept)
            data = event.model_dump(mode="json", exclude={"event"})
            claims.record_event(session, self.writer.fence, event.event, data)
            failpoints.hit(failpoints.Failpoint.EVENT_WRITTEN)

        self.writer.write(change)
        failpoints.hit(failpoints.Failpoint.EVENT_COMMITTED)
        if isinstance(event, CheckpointEvent):
            self.on_checkpoint()
        if isinstance(event, StartedEvent) and event.resumed_from == 0 and self._reached_step:
            self.record_event("log", {"level": "warning", "message": _STARTS_OVER.format(step=self._reached_step)})

    def _check_not_cancelled(self) -> None:
        if self.writer.lease.requests.cancel:
            raise CancelledError

    def _store(self, event: ArtifactEvent) -> None:
        """Store an announced file. Its name has no folder in it, which the event's pattern ensures."""
        path = self.work / "artifacts" / event.name
        try:
            self.stored[event.name] = self.writer.with_retry(
                lambda: store.put(
                    self.writer.database,
                    self.writer.fence,
                    name=event.name,
                    media_type=event.media_type,
                    path=path,
                    size=event.bytes,
                    sha256=event.sha256,
                    chunk_bytes=self._settings.chunk_bytes,
                    storage_url=self._settings.storage_url,
                    quota=Quota.from_settings(self._settings),
                    check=self._check_not_cancelled,
                )
            )
        except (ArtifactMismatchError, FileNotFoundError) as error:
            raise InvalidArtifactError(f"the trainer announced {event.name}, but {error}") from error


def _apply(session: Session, fence: Fence, event: Event) -> None:
    """Columns of the job that an event changes, in addition to its own row."""
    if isinstance(event, PhaseEvent):
        claims.set_phase(session, fence, event.phase)
    elif isinstance(event, StartedEvent):
        claims.set_progress(session, fence, step=event.resumed_from, total_steps=event.total_steps, device=event.device[:40])
        claims.complete_spec(session, fence, validation_share=event.validation_share)
    elif isinstance(event, EvaluationEvent):
        values: dict[str, Any] = {f"validation_{name}": value for name, value in event.metrics.items()}
        if event.stage != "before":  # of the masks; predictions of the dense model are not about them
            values["constant_prediction"] = event.constant_prediction
        if event.signal_to_noise is not None:
            values["signal_to_noise"] = event.signal_to_noise
        claims.record_metrics(session, fence, step=event.step, values={**values, "remaining": event.remaining})
        claims.set_progress(session, fence, metrics=values)
    elif isinstance(event, BaselineEvent):
        # its loss and metrics are not the mask's: they are only in the event and the result
        values = {"baseline_step": event.step, "baseline_rows_per_second": event.rows_per_second}
        claims.set_progress(session, fence, eta_seconds=event.eta_seconds, metrics=values)
    elif isinstance(event, WarningEvent):
        warning = RunWarning(code=event.code, message=event.message, remedy=event.remedy)
        claims.add_warning(session, fence, warning)
