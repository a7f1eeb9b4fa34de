"""Monitor of a running trainer: forwards its output and stops it on a request, a time limit or a lost lease.

Called by ``worker.run.supervisor``. One thread, two pipes and a clock; it ends when the process has ended.
"""

import logging
import os
import selectors
import threading
import time
from dataclasses import dataclass

from pruning.processes.pipe_lines import LineBuffer
from worker.run.event_recorder import EventRecorder
from worker.run.outcome import StopReason
from worker.run.process import TrainerProcess

_TICK_SECONDS = 0.1
"""Longest delay in detecting a request, a deadline or the end of the process."""
_DRAIN_SECONDS = 2.0
"""How long the pipes of a process that has ended may stay open: a child in a session of its own can hold them forever."""
_READ_BYTES = 1 << 16
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Seconds."""

    stall_seconds: float
    duration_seconds: float | None
    grace_seconds: float

    def exceeded_by(self, stop: StopReason | None) -> float | None:
        """The limit for which a trainer was stopped; None where it was stopped for another reason."""
        return {StopReason.STALL: self.stall_seconds, StopReason.TOO_LONG: self.duration_seconds}.get(stop) if stop else None


def monitor(
    trainer: TrainerProcess, recorder: EventRecorder, limits: Limits, stopping: threading.Event
) -> tuple[int, StopReason | None]:
    """Read the trainer's output until it has ended: its exit code as subprocess has it, and why it was stopped if it was.

    Raises the exceptions of ``EventRecorder.handle_line``; the caller then kills the trainer.
    """
    state = _Monitor(trainer, recorder, limits, stopping)
    with state.selector:
        while not trainer.exited():
            state.read(_TICK_SECONDS)
            state.stop_if_due()
        returncode = trainer.reap()  # and everything it started, so that both pipes end
        while state.selector.get_map() and state.read(_DRAIN_SECONDS):
            pass
        state.handle_lines(state.lines.close())
    return returncode, state.stop


class _Monitor:
    """State of ``monitor`` between two ticks."""

    def __init__(self, trainer: TrainerProcess, recorder: EventRecorder, limits: Limits, stopping: threading.Event) -> None:
        self.stop: StopReason | None = None
        self.lines = LineBuffer()
        self.selector = selectors.DefaultSelector()
        self.selector.register(trainer.stdout, selectors.EVENT_READ)
        self.selector.register(trainer.stderr, selectors.EVENT_READ)
        self._trainer, self._recorder, self._limits, self._stopping = trainer, recorder, limits, stopping
        self._started_at = time.monotonic()
        self._kill_at: float | None = None

    def read(self, seconds: float) -> bool:
        """Handle the content of the pipes, after waiting for up to ``seconds``; whether there was anything."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            data = os.read(key.fd, _READ_BYTES)
            if not data:
                self.selector.unregister(key.fileobj)
            elif key.fileobj is self._trainer.stdout:
                self.handle_lines(self.lines.feed(data))
            else:
                self._recorder.stderr.feed(data)
        return bool(ready)

    def handle_lines(self, lines: list[bytes]) -> None:
        """Pass complete lines on."""
        for line in lines:
            self._recorder.handle_line(line)

    def stop_if_due(self) -> None:
        """Stop the trainer if there is a reason, and kill it once its grace period has passed."""
        reason = self._reason()
        if reason is not None and (self.stop is None or reason.outranks(self.stop)):
            log.info("stopping the trainer: %s", reason)
            self.stop = reason
            if self._kill_at is None:
                self._trainer.terminate()
                self._kill_at = time.monotonic() + self._limits.grace_seconds
        if self.stop is StopReason.LEASE_LOST or (self._kill_at is not None and time.monotonic() > self._kill_at):
            self._trainer.kill()

    def _reason(self) -> StopReason | None:
        """Reason to stop the trainer, most important first."""
        now, lease = time.monotonic(), self._recorder.writer.lease
        if lease.lost:
            return StopReason.LEASE_LOST
        if lease.requests.cancel:
            return StopReason.CANCEL
        if lease.requests.pause:
            return StopReason.PAUSE
        if self._stopping.is_set():
            return StopReason.SHUTDOWN
        if self._limits.duration_seconds is not None and now - self._started_at > self._limits.duration_seconds:
            return StopReason.TOO_LONG
        if now - self._recorder.last_event_at > self._limits.stall_seconds:
            return StopReason.STALL
        return None
