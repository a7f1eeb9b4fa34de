"""The supervisor's loop: read what the trainer says, and stop it when there is a reason to.

Called by ``supervise.py``. One thread, two pipes and a clock; it ends when the process has ended.
"""

import logging
import os
import selectors
import threading
import time
from dataclasses import dataclass

from worker.run.event_recorder import EventRecorder
from worker.run.outcome import StopReason
from worker.run.pipes import Lines
from worker.run.process import TrainerProcess

_TICK_SECONDS = 0.1
"""How late a wish, a deadline or the end of the process may be noticed."""
_DRAIN_SECONDS = 2.0
"""How long the pipes of a process that is gone may stay open: a child in a session of its own can hold them forever."""
_PIECE_BYTES = 1 << 16
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Seconds."""

    stall_seconds: float
    duration_seconds: float | None
    grace_seconds: float

    def of(self, stop: StopReason | None) -> float | None:
        """The limit that a stop was for."""
        return (
            {StopReason.STALL: self.stall_seconds, StopReason.TOO_LONG: self.duration_seconds}.get(stop)
            if stop
            else None
        )


def monitor(
    trainer: TrainerProcess, reporter: EventRecorder, limits: Limits, leaving: threading.Event
) -> tuple[int, StopReason | None]:
    """Listen until the trainer is gone: its exit code as subprocess has it, and why we stopped it if we did.

    Raises what ``Reporter.hear`` raises; the caller then kills the trainer.
    """
    loop = _Loop(trainer, reporter, limits, leaving)
    with loop.selector:
        while not trainer.has_exited():
            loop.listen(_TICK_SECONDS)
            loop.consider()
        returncode = trainer.reap()  # and all it started, so that both pipes end
        while loop.selector.get_map() and loop.listen(_DRAIN_SECONDS):
            pass
        loop.hear(loop.lines.close())
    return returncode, loop.stop


class _Loop:
    """What ``follow`` remembers between two ticks."""

    def __init__(
        self, trainer: TrainerProcess, reporter: EventRecorder, limits: Limits, leaving: threading.Event
    ) -> None:
        self.stop: StopReason | None = None
        self.lines = Lines()
        self.selector = selectors.DefaultSelector()
        self.selector.register(trainer.stdout, selectors.EVENT_READ)
        self.selector.register(trainer.stderr, selectors.EVENT_READ)
        self._trainer, self._reporter, self._limits, self._leaving = trainer, reporter, limits, leaving
        self._began = time.monotonic()
        self._kill_at: float | None = None

    def listen(self, seconds: float) -> bool:
        """Take in what the pipes hold, waiting for up to ``seconds``; whether there was anything."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            data = os.read(key.fd, _PIECE_BYTES)
            if not data:
                self.selector.unregister(key.fileobj)
            elif key.fileobj is self._trainer.stdout:
                self.hear(self.lines.feed(data))
            else:
                self._reporter.stderr.feed(data)
        return bool(ready)

    def hear(self, lines: list[bytes]) -> None:
        """Pass whole lines on."""
        for line in lines:
            self._reporter.handle_line(line)

    def consider(self) -> None:
        """Stop the trainer if there is a reason, and kill it if it was asked long enough ago."""
        reason = self._reason()
        if reason is not None and (self.stop is None or reason.outranks(self.stop)):
            log.info("stopping the trainer: %s", reason)
            self.stop = reason
            if self._kill_at is None:
                self._trainer.terminate()
                self._kill_at = time.monotonic() + self._limits.grace_seconds
        if self.stop is StopReason.LEASE_LOST or (self._kill_at is not None and time.monotonic() > self._kill_at):
            self._trainer.kill_group()

    def _reason(self) -> StopReason | None:
        """Why the trainer should not go on, most weighty first."""
        now, lease = time.monotonic(), self._reporter.writer.lease
        if lease.lost:
            return StopReason.LEASE_LOST
        if lease.requests.cancel:
            return StopReason.CANCEL
        if lease.requests.pause:
            return StopReason.PAUSE
        if self._leaving.is_set():
            return StopReason.SHUTDOWN
        if self._limits.duration_seconds is not None and now - self._began > self._limits.duration_seconds:
            return StopReason.TOO_LONG
        if now - self._reporter.last_event_at > self._limits.stall_seconds:
            return StopReason.STALL
        return None
