"""Exceptions of pruning, by whether another attempt may succeed.

``python -m pruning`` turns each class into an exit code and an ``error`` event; the worker decides from the class alone
whether a job is tried again. No class refers to HTTP.

    PruningError
    ├── PermanentError  the same input fails again: fix the field named by ``param``
    ├── TemporaryError  the same input may succeed later: try again with back-off
    ├── StoppedError    a stop was requested; a checkpoint was written where one could be
    └── PeerLostError   another process of the same run has ended, which decides the end of the run
"""

import errno
from collections.abc import Collection

from safetensors import SafetensorError


class PruningError(Exception):
    """Pruning could not go on."""

    def __init__(self, message: str, *, code: str, param: str | None = None) -> None:
        message = message.encode("utf-8", "backslashreplace").decode()  # names may not be valid UTF-8; responses must be
        super().__init__(message)
        self.message = message
        self.code = code
        """Stable identifier, e.g. ``model_head_missing``; listed in the documentation."""
        self.param = param
        """Field of the spec that the user must change, e.g. ``label_words``; None where no field is at fault."""


class PermanentError(PruningError):
    """The job as specified cannot succeed."""


class SplitMissingError(PermanentError):
    """A data set has no split of the name asked for (``split_missing``)."""

    def __init__(self, message: str, *, splits: Collection[str], param: str | None = "task") -> None:
        super().__init__(message, code="split_missing", param=param)
        self.splits = tuple(splits)
        """Names of the splits that it has."""


class TemporaryError(PruningError):
    """The job failed for a reason outside its specification and may be tried again."""


class StoppedError(PruningError):
    """The trainer was asked to stop and ended regularly."""

    def __init__(self, message: str = "stopped on request", *, step: int | None = None) -> None:
        super().__init__(message, code="stopped")
        self.step = step
        """Optimizer steps completed and saved in the checkpoint; None when nothing was saved."""


class PeerLostError(PruningError):
    """A process of a run on several devices ended because another one of the run had ended."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="peer_lost")


def failed_write(fault: SafetensorError) -> OSError:
    """The error behind a failed write of the safetensors library, which wraps it so that the number is lost."""
    full = "os error 28" in str(fault)
    return OSError(errno.ENOSPC, str(fault)) if full else OSError(str(fault))
