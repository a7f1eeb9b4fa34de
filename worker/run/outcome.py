"""Outcome of an attempt: exit code, signal, stop reason or exception of the worker, classified into one result for the job.

Called by ``worker.run.supervisor`` once the trainer has ended. The messages are stored on the job verbatim.
"""

import errno
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pruning.events import ErrorEvent, ExitCode, FinishedEvent
from service.db.models import Failure
from service.errors import (
    ArtifactNotFoundError,
    DatasetNotFoundError,
    QuotaExceededError,
    SecretsUnavailableError,
    StartMaskNotFoundError,
    StorageUnavailableError,
    UploadedModelNotFoundError,
)
from service.states import JobKind
from worker.files.work_dirs import REQUIRED_ARTIFACTS


class InvalidArtifactError(Exception):
    """The trainer announced a file that does not exist, or not as announced."""


class RejectedWriteError(Exception):
    """The database is reachable and refuses the values: a number out of range, text that it cannot store."""


class CancelledError(Exception):
    """The job is to be cancelled: its remaining work is not finished."""


class StopReason(StrEnum):
    """Why the supervisor stopped a trainer."""

    CANCEL = "cancel"
    PAUSE = "pause"
    SHUTDOWN = "shutdown"
    STALL = "stall"
    TOO_LONG = "too_long"
    LEASE_LOST = "lease_lost"

    def outranks(self, other: "StopReason") -> bool:
        """Whether it replaces ``other`` as the reason; among equals the first one stays."""
        return _PRIORITY.get(self, 0) > _PRIORITY.get(other, 0)


_PRIORITY = {StopReason.CANCEL: 1, StopReason.LEASE_LOST: 2}


@dataclass(frozen=True)
class ProcessExit:
    """Everything known about a trainer that has ended."""

    returncode: int
    """Exit code as in subprocess: negative for the signal that killed it."""
    stop: StopReason | None
    """Set when the supervisor stopped it."""
    error: ErrorEvent | None
    finished: FinishedEvent | None
    stored: Mapping[str, int]
    """Ids of the artifacts stored, by name."""
    stderr_tail: str
    """Last lines of its standard error."""
    limit_seconds: float | None = None
    """The time limit that was exceeded, for ``StopReason.STALL`` and ``StopReason.TOO_LONG``."""
    kind: JobKind = JobKind.PRUNING
    """Kind of the job."""

    @property
    def required_artifact(self) -> str:
        """The artifact required for success."""
        return REQUIRED_ARTIFACTS[self.kind]

    def advice(self, for_training: str) -> str:
        """Remedy to reduce the work of the job."""
        less = {JobKind.EXPORT: "request fewer exports at a time", JobKind.EVALUATION: "evaluate on fewer rows"}
        return less.get(self.kind, for_training)


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
        return Failure(code=self.code, message=self.message, param=self.param, kind=self.kind, retryable=self.retryable)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Outcome(StrEnum):
    """Ends of an attempt that are not failures."""

    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    REQUEUED = "requeued"
    ABANDONED = "abandoned"
    """The job belongs to another worker; nothing more may be written."""


_REQUESTED = {StopReason.CANCEL: Outcome.CANCELLED, StopReason.PAUSE: Outcome.PAUSED, StopReason.SHUTDOWN: Outcome.REQUEUED}


def classify(process_exit: ProcessExit) -> Outcome | Failed:
    """The outcome of a trainer that ran.

    Work that is complete counts, even if the trainer had just been stopped, and even if it crashed on the way out, as
    accelerator libraries do: its artifact is stored and verified. A permanent error outlives a shutdown.
    """
    if process_exit.stop is StopReason.LEASE_LOST:
        return Outcome.ABANDONED
    if process_exit.finished is not None and process_exit.required_artifact in process_exit.stored:
        return Outcome.SUCCEEDED
    if process_exit.stop is StopReason.CANCEL:
        return Outcome.CANCELLED
    error = process_exit.error
    if process_exit.returncode == ExitCode.PERMANENT and error is not None:
        return Failed(error.code, error.message, kind="user", param=error.param)
    if process_exit.stop in _REQUESTED:
        return _REQUESTED[process_exit.stop]
    if process_exit.stop is StopReason.STALL:
        return Failed(
            "trainer_stalled",
            f"the trainer had no output for {process_exit.limit_seconds:g} seconds and was stopped",
            retryable=True,
        )
    if process_exit.stop is StopReason.TOO_LONG:
        return Failed(
            "max_duration_exceeded",
            f"the job ran longer than its limit of {process_exit.limit_seconds:g} seconds; raise max_duration or "
            f"{process_exit.advice('request fewer steps')}",
            kind="user",
            param="max_duration",
        )
    return _killed(process_exit) if process_exit.returncode < 0 else _exited(process_exit)


def _exited(process_exit: ProcessExit) -> Failed:
    """The trainer exited on its own, without success."""
    error, returncode = process_exit.error, process_exit.returncode
    if returncode == ExitCode.TEMPORARY and error is not None:
        return Failed(error.code, error.message, param=error.param, retryable=True)
    if returncode == ExitCode.STOPPED:
        return Failed("trainer_stopped", "the trainer was stopped by a signal that its worker did not send", retryable=True)
    if returncode == ExitCode.OK:
        no_end = process_exit.finished is None
        missing = "its last line, finished" if no_end else f"the artifact {process_exit.required_artifact}"
        return Failed("trainer_bug", f"the trainer exited with 0, but without {missing}")
    words = process_exit.stderr_tail or "stderr was empty"
    return Failed("trainer_bug", f"the trainer exited with code {returncode}; last lines of stderr: {words}")


_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS})


def _killed(process_exit: ProcessExit) -> Failed:
    """A signal that the worker did not send ended the trainer."""
    number = -process_exit.returncode
    try:
        name = signal.Signals(number).name
    except ValueError:  # real-time signals have no name
        name = f"signal {number}"
    if number in _CRASHES:
        words = f"; last lines of stderr: {process_exit.stderr_tail}" if process_exit.stderr_tail else ""
        return Failed("trainer_crashed", f"the trainer crashed ({name}){words}", retryable=True)
    hint = ""
    if number == signal.SIGKILL:
        less = process_exit.advice("lower batch_size or max_length")
        hint = f"; most often the machine ran out of memory: {less}, or give the worker more memory"
    return Failed("trainer_killed", f"the trainer was killed ({name}){hint}", retryable=True)


ATTEMPT_ERRORS = (
    ArtifactNotFoundError,
    DatasetNotFoundError,
    UploadedModelNotFoundError,
    InvalidArtifactError,
    QuotaExceededError,
    RejectedWriteError,
    SecretsUnavailableError,
    StartMaskNotFoundError,
    StorageUnavailableError,
    OSError,  # disk full, too many processes, no permission
)
"""Exceptions that end an attempt while its trainer is prepared, started or monitored."""


def classify_error(error: Exception) -> Failed:
    """The outcome of an attempt that one of ``ATTEMPT_ERRORS`` ended."""
    match error:
        case DatasetNotFoundError():
            return Failed("dataset_not_found", str(error), kind="user", param="task.dataset")
        case UploadedModelNotFoundError():
            return Failed("model_not_found", str(error), kind="user", param="model")
        case StartMaskNotFoundError():
            return Failed("start_missing", str(error), kind="user", param="init_from")
        case ArtifactNotFoundError():
            return Failed("artifact_not_found", str(error), kind="user", param="export_of")
        case QuotaExceededError():
            return Failed("quota_exceeded", str(error), kind="user")
        case InvalidArtifactError() | RejectedWriteError():
            return Failed("trainer_bug", str(error))
        case StorageUnavailableError():
            return Failed("storage_unavailable", str(error), retryable=True)
        case SecretsUnavailableError():
            return Failed("secrets_unavailable", str(error), retryable=True)  # another worker may have the secret key
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    code = "insufficient_storage" if full else "worker_environment"
    return Failed(code, f"the worker could not run the trainer: {error}", retryable=True)
