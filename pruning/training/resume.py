"""Resumption: a run's state and history into a checkpoint, and back from the newest one.

Called by :mod:`pruning.training.train` and :mod:`pruning.training.loop`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pruning.errors import StoppedError
from pruning.events import EventSink, LogEvent
from pruning.training.checkpoint import Checkpoints, capture, restore
from pruning.training.history import History
from pruning.training.run import Run

HISTORY = "history"
"""Name of the history among the tensors of a checkpoint."""


def resume(run: Run, history: History, checkpoints: Checkpoints, emit: EventSink) -> int:
    """Restore the newest checkpoint of the run; returns the steps that it had completed, 0 where there is none."""
    found = checkpoints.latest()
    for name in checkpoints.unreadable:
        emit(LogEvent(level="warning", message=f"checkpoint {name} cannot be read and is skipped"))
    for name in checkpoints.foreign:
        emit(
            LogEvent(level="warning", message=f"checkpoint {name} is of another spec, other rows or other kernels, and is skipped")
        )
    run.process_group.require_same("the checkpoint to resume from", torch.tensor([found[0] if found else 0]))
    if found is None:
        return 0
    step, state = found
    restore(state, step, run.pruner)
    if run.best is not None and run.process_group.is_main:
        run.best.restore(state)
    if HISTORY in state:  # a checkpoint of an earlier version has none; the curves then begin here
        history.restore(state[HISTORY], step)
    emit(LogEvent(message=f"resumed from the checkpoint of step {step}"))
    return step


def save_checkpoint(run: Run, done: int, history: History, checkpoints: Checkpoints) -> None:
    """Write the state after ``done`` steps in the background; of several ranks the first one does, all being the same."""
    if done < run.total_steps:  # after the last step the first rank is alone, and their scores were compared
        run.require_same_scores()
    if run.process_group.is_main:
        best = run.best.state() if run.best is not None else {}
        checkpoints.save(done, {**capture(run.pruner), **best, HISTORY: history.packed()})


@contextmanager
def saved_when_stopped(run: Run, done: int, history: History, checkpoints: Checkpoints) -> Iterator[None]:
    """Where the block raises StoppedError, write the state after ``done`` steps before it is left."""
    try:
        yield
    except StoppedError as stopped:
        save_checkpoint(run, done, history, checkpoints)
        checkpoints.wait()
        raise StoppedError(step=done) from stopped
