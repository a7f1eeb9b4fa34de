"""How a trainer ended, in words a user can act on: exit code, signal and our own reasons become one verdict.

Pure; called by ``supervise.py`` once the process is gone. The error is stored on the job as it stands here.
"""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pruning.events import ErrorEvent, ExitCode, FinishedEvent
from service.db.models import Failure

MASK = "mask.safetensors"
"""The artifact without which no job that prunes has succeeded."""
EXPORTS = "exports.json"
"""The same of a job that exports."""


class StopReason(StrEnum):
    """Why the supervisor itself ended a trainer."""

    CANCEL = "cancel"
    PAUSE = "pause"
    SHUTDOWN = "shutdown"
    STALL = "stall"
    TOO_LONG = "too_long"
    LEASE_LOST = "lease_lost"

    def outranks(self, other: "StopReason") -> bool:
        """Whether it replaces ``other`` as the reason; among equals the first one stays."""
        return _WEIGHT.get(self, 0) > _WEIGHT.get(other, 0)


_WEIGHT = {StopReason.CANCEL: 1, StopReason.LEASE_LOST: 2}


@dataclass(frozen=True)
class ProcessExit:
    """Everything known once a trainer is gone."""

    returncode: int
    """As subprocess has it: negative is the signal that killed it."""
    stop: StopReason | None
    """Set when we asked it to end."""
    error: ErrorEvent | None
    finished: FinishedEvent | None
    stored: Mapping[str, Any]
    """Artifacts stored, by name."""
    stderr_tail: str
    """The last lines of its standard error."""
    limit_seconds: float | None = None
    """The time limit that was passed, for ``Stop.STALL`` and ``Stop.TOO_LONG``."""
    exporting: bool = False
    """Whether the job exports a mask that was there."""

    @property
    def required_artifact(self) -> str:
        """The artifact without which it has not succeeded."""
        return EXPORTS if self.exporting else MASK

    def advice(self, what: str) -> str:
        """What a user may do so that it needs less of something; ``what`` is the advice for a training."""
        return "ask for fewer exports at a time" if self.exporting else what


@dataclass(frozen=True)
class Failed:
    """The attempt failed; ``retryable`` says whether another may succeed."""

    code: str
    message: str
    kind: str = "system"
    param: str | None = None
    retryable: bool = False

    def as_failure(self) -> Failure:
        """The job's ``error`` field."""
        return Failure(
            code=self.code, message=self.message, param=self.param, kind=self.kind, retryable=self.retryable
        )  # fmt: skip


class Outcome(StrEnum):
    """Endings that are no failure."""

    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    HANDED_BACK = "handed_back"
    ABANDONED = "abandoned"
    """The job belongs to another worker by now; nothing may be written."""


_ASKED = {
    StopReason.CANCEL: Outcome.CANCELLED,
    StopReason.PAUSE: Outcome.PAUSED,
    StopReason.SHUTDOWN: Outcome.HANDED_BACK,
}


def classify(ending: ProcessExit) -> Outcome | Failed:
    """The one place that decides what an ending means.

    Work that is complete counts, even if we had just asked to stop, and even if the process then fell over its own
    feet while it left (accelerator libraries do): what it was to make is stored and verified. A permanent error outlives
    a shutdown.
    """
    if ending.stop is StopReason.LEASE_LOST:
        return Outcome.ABANDONED
    if ending.finished is not None and ending.required_artifact in ending.stored:
        return Outcome.SUCCEEDED
    if ending.stop is StopReason.CANCEL:
        return Outcome.CANCELLED
    if ending.returncode == ExitCode.PERMANENT and ending.error is not None:
        return Failed(ending.error.code, ending.error.message, kind="user", param=ending.error.param)
    if ending.stop in _ASKED:
        return _ASKED[ending.stop]
    if ending.stop is StopReason.STALL:
        return Failed(
            "trainer_stalled", f"the trainer said nothing for {ending.limit_seconds:g} seconds and was stopped",
            retryable=True,
        )  # fmt: skip
    if ending.stop is StopReason.TOO_LONG:
        return Failed(
            "max_duration_exceeded",
            f"the job ran longer than its limit of {ending.limit_seconds:g} seconds; raise max_duration or "
            f"{ending.advice('ask for fewer steps')}",
            kind="user", param="max_duration",
        )  # fmt: skip
    return _killed(ending) if ending.returncode < 0 else _exited(ending)


def _exited(ending: ProcessExit) -> Failed:
    """The trainer left by itself, without having succeeded."""
    if ending.returncode == ExitCode.TEMPORARY and ending.error is not None:
        return Failed(ending.error.code, ending.error.message, param=ending.error.param, retryable=True)
    if ending.returncode == ExitCode.STOPPED:
        return Failed("trainer_stopped", "the trainer was stopped by someone other than its worker", retryable=True)
    if ending.returncode == ExitCode.OK:
        missing = "its last line, finished" if ending.finished is None else f"the artifact {ending.required_artifact}"
        return Failed("trainer_bug", f"the trainer left as if it had succeeded, but without {missing}")
    words = ending.stderr_tail or "it said nothing on standard error"
    return Failed("trainer_bug", f"the trainer left with exit code {ending.returncode}; its last words: {words}")


_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS})


def _killed(ending: ProcessExit) -> Failed:
    """A signal that we did not send ended the trainer."""
    number = -ending.returncode
    try:
        name = signal.Signals(number).name
    except ValueError:  # real-time signals have no name
        name = f"signal {number}"
    if number in _CRASHES:
        words = f"; its last words: {ending.stderr_tail}" if ending.stderr_tail else ""
        return Failed("trainer_crashed", f"the trainer crashed ({name}){words}", retryable=True)
    hint = ""
    if number == signal.SIGKILL:
        less = ending.advice("lower batch_size or max_length")
        hint = f"; most often the machine ran out of memory: {less}, or give the worker more memory"
    return Failed("trainer_killed", f"the trainer was killed from outside ({name}){hint}", retryable=True)
