"""The training of scores, from spec to artifacts: ``train`` is the way of a run, ``_loop`` the loop."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from pruning import failpoints
from pruning.errors import StoppedError
from pruning.events import CheckpointEvent, EventSink, LogEvent, PhaseEvent, StartedEvent
from pruning.masking.kernels import dispatch
from pruning.sources import Sources
from pruning.spec.export_formats import Format
from pruning.spec.schema import PruningSpec
from pruning.training import backends
from pruning.training.checkpoint import Checkpoints, capture, identity, restore
from pruning.training.distributed import SINGLE_PROCESS, ProcessGroup
from pruning.training.finalize import finalize
from pruning.training.history import History
from pruning.training.progress import Progress
from pruning.training.run import Run, library_versions
from pruning.training.setup import set_up

HISTORY = "history"
"""Name of the history among the tensors of a checkpoint."""


def train(
    spec: PruningSpec,
    work: Path,
    sources: Sources,
    emit: EventSink,
    should_stop: Callable[[], bool] = lambda: False,
    process_group: ProcessGroup = SINGLE_PROCESS,
    exports: Sequence[Format] = (),
) -> None:
    """Run a spec to the end: artifacts in ``work/artifacts``, checkpoints in ``work/checkpoints``, events to ``report``.

    Resumes from the newest checkpoint of the same run found in ``work``. Of several ranks each calls this; the first one
    writes. Raises PermanentError, TemporaryError, or, once ``should_stop`` says so on any rank and a checkpoint is written,
    StoppedError.
    """
    history = History()
    emit = history.listening(emit)
    run = set_up(spec, sources, emit, process_group)
    failpoints.hit(failpoints.Failpoint.PREPARED)
    emit(PhaseEvent(phase="evaluating", message="the dense model, before training"))
    before = run.evaluate("before", 0, emit)
    checkpoints = Checkpoints(
        work / "checkpoints",
        identity(spec, run.base_digest, run.train, run.pruner.kernels),
        lambda step: emit(CheckpointEvent(step=step)),
    )
    first_step = _resume(run, history, checkpoints, emit)
    _announce(run, first_step, emit)
    try:
        _loop(run, first_step, history, checkpoints, emit, should_stop)
        failpoints.hit(failpoints.Failpoint.TRAINED)
        run.require_same_scores()
        if process_group.is_main:
            with _saving(run, run.total_steps, history, checkpoints):
                finalize(run, before, history, work, emit, should_stop, sources, exports)
    finally:
        checkpoints.wait()  # what is being written is finished, and reported, before the last word is said


def _resume(run: Run, history: History, checkpoints: Checkpoints, emit: EventSink) -> int:
    """Put back the newest checkpoint; returns the steps it had completed."""
    found = checkpoints.latest()
    for name in checkpoints.unreadable:
        emit(LogEvent(level="warning", message=f"checkpoint {name} cannot be read and is passed over"))
    for name in checkpoints.foreign:
        emit(
            LogEvent(
                level="warning",
                message=f"checkpoint {name} is of another spec, other rows or other kernels, and is passed over",
            )
        )
    run.process_group.require_same("the checkpoint to resume from", torch.tensor([found[0] if found else 0]))
    if found is None:
        return 0
    step, state = found
    restore(state, step, run.pruner)
    if HISTORY in state:  # a checkpoint of an earlier version has none; the curves then begin here
        history.restore(state[HISTORY], step)
    emit(LogEvent(message=f"resumed from the checkpoint of step {step}"))
    return step


def _announce(run: Run, first_step: int, emit: EventSink) -> None:
    emit(
        StartedEvent(
            total_steps=run.total_steps,
            resumed_from=first_step,
            model_revision=run.located.revision,
            base_digest=run.base_digest,
            matrices=len(run.matrices.layers),
            masked_weights=run.matrices.total,
            train_rows=len(run.train),
            validation_rows=sum(len(split.rows.labels) for split in run.validation),
            device=str(run.device),
            versions={**library_versions(), "kernels": run.pruner.kernels},
        )
    )
    if run.pruner.kernels == "plain" and (reason := _why_plain(run)):
        emit(LogEvent(message=f"scores are selected and updated by plain PyTorch, which takes longer: {reason}"))
    emit(PhaseEvent(phase="training", message=f"{run.total_steps} steps"))


def _why_plain(run: Run) -> str:
    if run.device.type != "cuda":
        return dispatch.unavailable_reason()
    return backends.unsupported_reason(run.pruner) if run.total_steps else ""


def _loop(
    run: Run,
    first_step: int,
    history: History,
    checkpoints: Checkpoints,
    emit: EventSink,
    should_stop: Callable[[], bool],
) -> None:
    """Select, forward, backward, update; say where we are; save; stop when asked."""
    spec, progress = run.spec, Progress(run, first_step, history, emit)
    run.head.train()
    for t in range(first_step, run.total_steps):
        progress.step(t)
        done = t + 1
        if run.eval_every is not None and done % run.eval_every == 0 and done < run.total_steps:
            progress.settle()
            run.pruner.select(run.pruner.schedule.remaining(t), final=True)  # by the scores as they are now
            run.evaluate("during", done, emit)
        if done % spec.checkpoint_every == 0 and done < run.total_steps:
            progress.settle()
            _save(run, done, history, checkpoints)
        if run.process_group.any_rank(should_stop()):
            progress.settle()
            with _saving(run, done, history, checkpoints):
                raise StoppedError
    progress.settle()


@contextmanager
def _saving(run: Run, done: int, history: History, checkpoints: Checkpoints) -> Iterator[None]:
    """Where the block is stopped, save the state after ``done`` steps before it is left."""
    try:
        yield
    except StoppedError as stopped:
        _save(run, done, history, checkpoints)
        checkpoints.wait()
        raise StoppedError(step=done) from stopped


def _save(run: Run, done: int, history: History, checkpoints: Checkpoints) -> None:
    """Write a checkpoint in the background; of several ranks the first one does, all being the same."""
    if done < run.total_steps:  # after the last step the first rank is alone, and they have agreed
        run.require_same_scores()
    if run.process_group.is_main:
        checkpoints.save(done, {**capture(run.pruner), HISTORY: history.packed()})
