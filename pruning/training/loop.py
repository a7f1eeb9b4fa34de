"""The training of scores, from spec to artifacts: ``train`` is the way of a run, ``_loop`` the loop."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from pruning import failpoints
from pruning.errors import StoppedError
from pruning.events import CheckpointEvent, LogEvent, PhaseEvent, StartedEvent
from pruning.masking.kernels import dispatch
from pruning.sources import Sources
from pruning.spec.export_formats import Format
from pruning.spec.schema import PruningSpec
from pruning.training import backends
from pruning.training.checkpoint import Checkpoints, capture, identity, restore
from pruning.training.distributed import ALONE, Ranks
from pruning.training.finalize import deliver
from pruning.training.history import History
from pruning.training.progress import Progress
from pruning.training.run import Report, Run, library_versions
from pruning.training.setup import prepare

HISTORY = "history"
"""Name of the history among the tensors of a checkpoint."""


def train(
    spec: PruningSpec,
    work: Path,
    sources: Sources,
    report: Report,
    should_stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
    exports: Sequence[Format] = (),
) -> None:
    """Run a spec to the end: artifacts in ``work/artifacts``, checkpoints in ``work/checkpoints``, events to ``report``.

    Resumes from the newest checkpoint of the same run found in ``work``. Of several ranks each calls this; the first one
    writes. Raises PermanentError, TemporaryError, or, once ``should_stop`` says so on any rank and a checkpoint is written,
    StoppedError.
    """
    history = History()
    report = history.listening(report)
    run = prepare(spec, sources, report, ranks)
    failpoints.hit(failpoints.Failpoint.PREPARED)
    report(PhaseEvent(phase="evaluating", message="the dense model, before training"))
    before = run.evaluate("before", 0, report)
    checkpoints = Checkpoints(
        work / "checkpoints",
        identity(spec, run.base_digest, run.train, run.pruner.kernels),
        lambda step: report(CheckpointEvent(step=step)),
    )
    first_step = _resume(run, history, checkpoints, report)
    _announce(run, first_step, report)
    try:
        _loop(run, first_step, history, checkpoints, report, should_stop)
        failpoints.hit(failpoints.Failpoint.TRAINED)
        run.require_agreement()
        if ranks.leads:
            with _saving(run, run.total_steps, history, checkpoints):
                deliver(run, before, history, work, report, should_stop, sources, exports)
    finally:
        checkpoints.wait()  # what is being written is finished, and reported, before the last word is said


def _resume(run: Run, history: History, checkpoints: Checkpoints, report: Report) -> int:
    """Put back the newest checkpoint; returns the steps it had completed."""
    found = checkpoints.latest()
    for name in checkpoints.unreadable:
        report(LogEvent(level="warning", message=f"checkpoint {name} cannot be read and is passed over"))
    for name in checkpoints.foreign:
        report(
            LogEvent(
                level="warning",
                message=f"checkpoint {name} is of another spec, other rows or other kernels, and is passed over",
            )
        )
    run.ranks.require_same("the checkpoint to resume from", torch.tensor([found[0] if found else 0]))
    if found is None:
        return 0
    step, state = found
    restore(state, step, run.pruner)
    if HISTORY in state:  # a checkpoint of an earlier version has none; the curves then begin here
        history.restore(state[HISTORY], step)
    report(LogEvent(message=f"resumed from the checkpoint of step {step}"))
    return step


def _announce(run: Run, first_step: int, report: Report) -> None:
    report(
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
        report(LogEvent(message=f"scores are selected and updated by plain PyTorch, which takes longer: {reason}"))
    report(PhaseEvent(phase="training", message=f"{run.total_steps} steps"))


def _why_plain(run: Run) -> str:
    if run.device.type != "cuda":
        return dispatch.reason()
    return backends.unfit(run.pruner) if run.total_steps else ""


def _loop(
    run: Run,
    first_step: int,
    history: History,
    checkpoints: Checkpoints,
    report: Report,
    should_stop: Callable[[], bool],
) -> None:
    """Select, forward, backward, update; say where we are; save; stop when asked."""
    spec, progress = run.spec, Progress(run, first_step, history, report)
    run.head.train()
    for t in range(first_step, run.total_steps):
        progress.step(t)
        done = t + 1
        if run.eval_every is not None and done % run.eval_every == 0 and done < run.total_steps:
            progress.settle()
            run.pruner.select(run.pruner.schedule.remaining(t), final=True)  # by the scores as they are now
            run.evaluate("during", done, report)
        if done % spec.checkpoint_every == 0 and done < run.total_steps:
            progress.settle()
            _save(run, done, history, checkpoints)
        if run.ranks.any(should_stop()):
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
        run.require_agreement()
    if run.ranks.leads:
        checkpoints.save(done, {**capture(run.pruner), HISTORY: history.packed()})
