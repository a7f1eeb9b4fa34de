"""What ``python -m pruning`` does around a run: event lines out, signals in, failures turned into exit codes."""

import argparse
import contextlib
import errno
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TextIO

from pydantic import ValidationError

from pruning import failpoints
from pruning.cli import torchrun
from pruning.errors import PeerLostError, PermanentError, StoppedError, TemporaryError
from pruning.events import ArtifactEvent, ErrorEvent, Event, ExitCode, FinishedEvent
from pruning.export import results
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec, explain


class EventWriter:
    """Standard output for events alone: whatever else prints goes to standard error from now on."""

    def __init__(self) -> None:
        self._out: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        self._lock = threading.Lock()  # checkpoints are reported from their own thread
        self.is_reporter: Callable[[Event], bool] = lambda event: True
        """Whether an event is for this process to emit, where there are others that know of it."""

    def restore_stdout(self) -> None:
        """Make standard output what it was, for a program that takes the place of this one."""
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
    """SIGTERM and SIGINT: at once before training, at the end of the step during it."""

    def __init__(self) -> None:
        self._asked = False
        self._polled = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def __call__(self) -> bool:
        self._polled = True
        return self._asked

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if not self._polled:  # loading or tokenizing: there is nothing to save and no step to wait for
            raise _LeaveNow


class _LeaveNow(BaseException):
    """Stopped, out of a signal handler: it may surface anywhere, so no library's ``except Exception`` may catch it."""


def run_train(arguments: argparse.Namespace) -> ExitCode:
    """The ``train`` command."""
    passive_threads()
    emit = EventWriter()
    should_stop = StopRequest()
    if arguments.launcher is not None:
        torchrun.end_with(arguments.launcher)

    def work() -> None:
        spec = _read_spec(arguments.spec)
        if spec.devices > 1 and not torchrun.launched():
            emit.restore_stdout()
            torchrun.become(spec.devices, sys.argv[1:])
        if arguments.watch_stdin:
            threading.Thread(target=exit_with_parent, name="watch-stdin", daemon=True).start()
        from pruning.training.distributed import join_process_group
        from pruning.training.loop import train  # torch takes two seconds, a wrong spec none

        quiet()
        ranks = join_process_group(spec.devices)
        emit.is_reporter = ranks.is_reporter
        train(spec, arguments.work, sources_of(arguments), emit, should_stop, ranks, arguments.exports or ())
        ranks.close()
        failpoints.hit(failpoints.Failpoint.LEAVING)

    return _exit_code(work, emit)


def run_evaluate(arguments: argparse.Namespace) -> ExitCode:
    """The ``evaluate`` command: one JSON object, the metrics."""
    passive_threads()
    emit = EventWriter()

    def work() -> None:
        from pruning.events import EvaluationEvent
        from pruning.inference.pruned_model import evaluate_mask, load_pruned

        quiet()
        sources = sources_of(arguments)
        pruned = load_pruned(arguments.mask, model=arguments.model, sources=sources)
        metrics = evaluate_mask(pruned, sources)
        emit(EvaluationEvent(step=0, stage="final", remaining=pruned.info.density, metrics=metrics))

    return _exit_code(work, emit)


def run_export(arguments: argparse.Namespace) -> ExitCode:
    """The ``export`` command: a folder or archive for each format, ``exports.json``, and what that holds as the last line.

    Formats that failed decide the exit code, once all were tried: the first for which another attempt is pointless, else
    the first.
    """
    passive_threads()
    emit = EventWriter()
    if arguments.watch_stdin:
        threading.Thread(target=exit_with_parent, name="watch-stdin", daemon=True).start()

    def work() -> None:
        from pruning.export.run import run_exports

        quiet()
        entries = run_exports(
            arguments.mask, arguments.to, arguments.out, model=arguments.model, sources=sources_of(arguments),
            weights=arguments.weights, archive=arguments.archive, emit=emit,
        )  # fmt: skip
        failed = [(one.format, one.error) for one in entries if one.error is not None]
        for name, error in sorted(failed, key=lambda each: each[1].retryable):
            kind = TemporaryError if error.retryable else PermanentError
            raise kind(f"{name}: {error.message}", code=error.code, param="exports")
        figures = results.read(arguments.out)
        assert figures is not None  # noqa: S101 - written by run_exports
        emit(FinishedEvent(metrics=figures.model_dump(mode="json")))

    return _exit_code(work, emit)


def _exit_code(work: Callable[[], None], emit: EventWriter) -> ExitCode:
    """Run ``work``; its failure becomes the last event line and the exit code."""
    try:
        work()
    except (StoppedError, _LeaveNow):
        return ExitCode.STOPPED
    except PeerLostError as failure:
        sys.stderr.write(f"given up, for another process of this run is gone: {failure}\n")
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
    except Exception as failure:  # noqa: BLE001 - the last frame of the program: told apart, never swallowed
        traceback.print_exc()
        if type(failure).__name__ != "OutOfMemoryError":  # torch's, which cannot be imported before it is needed
            return ExitCode.BUG
        emit(ErrorEvent(kind="temporary", code="out_of_memory", message=_OUT_OF_MEMORY, param="batch_size"))
        return ExitCode.TEMPORARY
    return ExitCode.OK


_OUT_OF_MEMORY = "the device ran out of memory; lower batch_size or max_length, or raise gradient_accumulation instead"


def _read_spec(path: Path) -> PruningSpec:
    try:
        return PruningSpec.model_validate_json(path.read_bytes())
    except ValidationError as refusal:
        fault = explain(refusal)[0]
        raise PermanentError(fault["message"], code=fault["code"], param=fault["param"]) from refusal
    except OSError as fault:
        raise PermanentError(f"the spec cannot be read: {fault}", code="spec_unreadable") from fault


def sources_of(arguments: argparse.Namespace) -> Sources:
    """Where a command's arguments say that models and data sets are. Raises PermanentError."""
    token = None
    if arguments.token_file is not None:
        try:
            token = arguments.token_file.read_text("utf-8").strip()
        except OSError as fault:
            raise PermanentError(f"the hub token cannot be read: {fault.strerror}", code="token_unreadable") from fault
    return Sources(
        arguments.models_dir,
        arguments.datasets_dir,
        hub=not arguments.no_hub,
        token=token,
        token_file=arguments.token_file,
        uploads_dir=arguments.work / "uploads"
        if arguments.command == "train"
        else getattr(arguments, "uploads_dir", None),
        token_cache=getattr(arguments, "token_cache", None),
        token_cache_bytes=getattr(arguments, "token_cache_bytes", 0),
    )


def passive_threads() -> None:
    """Let idle threads sleep. By default they spin, and where another process wants the core each small operation then
    stalls for milliseconds: six steps took 70 s instead of 9 s on two contended cores. Read when torch is first loaded."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def quiet() -> None:
    """No progress bars on standard error, where a supervisor keeps the last lines for the user to read."""
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging

    disable_progress_bars()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the report of unused tensors; missing ones we refuse
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def exit_with_parent() -> None:
    """The supervisor holds the other end of standard input: when it is gone, so are we, and the checkpoints remain.

    A number that it writes is the seconds within which it will write again: a supervisor that is frozen loses the run to
    another worker, which may need this device. At once and without cleaning up, for the same reason.
    """
    deadline: float | None = None
    while True:
        patience = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([0], [], [], patience)[0]:
            break
        told = os.read(0, 4096)  # not sys.stdin: its lock, held by this thread, would abort the interpreter's own exit
        if not told:
            break
        with contextlib.suppress(ValueError, IndexError):
            deadline = time.monotonic() + float(told.split()[-1])
    os._exit(ExitCode.STOPPED)
