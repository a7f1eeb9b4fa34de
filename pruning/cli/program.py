"""Program frame of ``python -m pruning``: event lines on standard output, stop signals, and failures as exit codes.

Every command runs its work through :func:`exit_code_of`; :mod:`pruning.events` defines the lines and the codes.
"""

import errno
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import TextIO

from pruning import failpoints
from pruning.errors import PeerLostError, PermanentError, StoppedError, TemporaryError
from pruning.events import ArtifactEvent, ErrorEvent, Event, ExitCode, FinishedEvent

_OUT_OF_MEMORY = "the device ran out of memory; lower batch_size or max_length, or raise gradient_accumulation instead"


class EventWriter:
    """Writes events, and nothing else, to standard output: what libraries print goes to standard error from now on."""

    def __init__(self) -> None:
        self._out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        self._lock = threading.Lock()  # checkpoints are reported from a thread of their own
        self.is_reporter: Callable[[Event], bool] = lambda event: True
        """Whether this process writes an event; with several ranks, only one does."""

    def restore_stdout(self) -> None:
        """Restore standard output, before this process executes another program."""
        os.dup2(self._out.fileno(), 1)

    def __call__(self, event: Event) -> None:
        if not self.is_reporter(event):
            return
        if isinstance(event, ArtifactEvent):
            failpoints.hit(failpoints.Failpoint.ARTIFACT_FILED)
        if isinstance(event, FinishedEvent):
            failpoints.hit(failpoints.Failpoint.FINISHED)
        with self._lock:
            self._out.write(event.model_dump_json() + "\n")
            self._out.flush()


class StopRequest:
    """Whether SIGTERM or SIGINT arrived. Before the first call a signal ends the program at once; from then on it sets a flag."""

    def __init__(self) -> None:
        self._requested = False
        self._polled = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def __call__(self) -> bool:
        self._polled = True
        return self._requested

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._requested = True
        if not self._polled:  # loading or tokenizing: there is nothing to save and no step to wait for
            raise _StopNow


class _StopNow(BaseException):
    """Raised by the signal handler. It can surface anywhere, so no library's ``except Exception`` may catch it."""


def exit_code_of(work: Callable[[], None], emit: EventWriter) -> ExitCode:
    """Run ``work``; its failure becomes the last event line and the exit code."""
    try:
        work()
    except (StoppedError, _StopNow):
        return ExitCode.STOPPED
    except PeerLostError as failure:
        sys.stderr.write(f"stopped because another process of this run has ended: {failure}\n")
        return ExitCode.PEER_LOST
    except PermanentError as failure:
        emit(ErrorEvent(kind="permanent", code=failure.code, message=failure.message, param=failure.param))
        return ExitCode.PERMANENT
    except TemporaryError as failure:
        emit(ErrorEvent(kind="temporary", code=failure.code, message=failure.message, param=failure.param))
        return ExitCode.TEMPORARY
    except OSError as failure:
        if failure.errno != errno.ENOSPC:
            traceback.print_exc()
            return ExitCode.BUG
        emit(ErrorEvent(kind="temporary", code="insufficient_storage", message="the disk of the worker is full"))
        return ExitCode.TEMPORARY
    except MemoryError:
        emit(ErrorEvent(kind="temporary", code="out_of_memory", message=_OUT_OF_MEMORY, param="batch_size"))
        return ExitCode.TEMPORARY
    except Exception as failure:  # noqa: BLE001 - the last frame of the program: classified, never swallowed
        traceback.print_exc()
        if type(failure).__name__ != "OutOfMemoryError":  # torch's exception class, compared by name because torch is imported late
            return ExitCode.BUG
        emit(ErrorEvent(kind="temporary", code="out_of_memory", message=_OUT_OF_MEMORY, param="batch_size"))
        return ExitCode.TEMPORARY
    return ExitCode.OK
