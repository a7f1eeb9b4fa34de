"""The training of scores, from spec to artifacts: ``train`` is the way of a run, ``_loop`` the loop."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pruning import crash
from pruning.checkpoint import Checkpoints, capture, identity, restore
from pruning.deliver import deliver
from pruning.errors import Permanent, Stopped
from pruning.events import CheckpointEvent, LogEvent, PhaseEvent, StartedEvent, StepEvent
from pruning.pace import Pace
from pruning.prepare import prepare
from pruning.run import Report, Run, library_versions
from pruning.sources import Sources
from pruning.spec import PruningSpec
from pruning.step import StepResult


def train(
    spec: PruningSpec, work: Path, sources: Sources, report: Report, should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Run a spec to the end: artifacts in ``work/artifacts``, checkpoints in ``work/checkpoints``, events to ``report``.

    Resumes from the newest checkpoint of the same run found in ``work``. Raises Permanent, Temporary, or, once
    ``should_stop`` says so and a checkpoint is written, Stopped.
    """
    began = time.monotonic()
    run = prepare(spec, sources, report)
    crash.here(crash.Point.PREPARED)
    report(PhaseEvent(phase="evaluating", message="the dense model, before training"))
    before = run.evaluate("before", 0, report)
    checkpoints = Checkpoints(
        work / "checkpoints",
        identity(spec, run.base_digest, run.train),
        lambda step: report(CheckpointEvent(step=step)),
    )
    first_step = _resume(run, checkpoints, report)
    _announce(run, first_step, report)
    try:
        _loop(run, first_step, checkpoints, report, should_stop)
        crash.here(crash.Point.TRAINED)
        with _saving(run, run.total_steps, checkpoints):
            deliver(run, before, work, report, should_stop, seconds=time.monotonic() - began)
    finally:
        checkpoints.wait()  # what is being written is finished, and reported, before the last word is said


def _resume(run: Run, checkpoints: Checkpoints, report: Report) -> int:
    """Put back the newest checkpoint; returns the steps it had completed."""
    found = checkpoints.latest()
    for name in checkpoints.unreadable:
        report(LogEvent(level="warning", message=f"checkpoint {name} cannot be read and is passed over"))
    if found is None:
        return 0
    step, state = found
    restore(state, step, run.pruner)
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
            versions=library_versions(),
        )
    )
    report(PhaseEvent(phase="training", message=f"{run.total_steps} steps"))


def _loop(run: Run, first_step: int, checkpoints: Checkpoints, report: Report, should_stop: Callable[[], bool]) -> None:
    """Select, forward, backward, update; say where we are; save; stop when asked."""
    spec, pace = run.spec, Pace(first_step, run.total_steps)
    run.head.train()
    for t in range(first_step, run.total_steps):
        batches = [run.batch(t, part) for part in range(spec.gradient_accumulation)]
        try:
            result = run.pruner.step(t, batches)
        except FloatingPointError as fault:
            raise Permanent(
                f"training diverged at step {t}: {fault}; lower learning_rate or regularization",
                code="diverged", param="learning_rate",
            ) from fault  # fmt: skip
        done = t + 1
        pace.count(sum(len(batch["labels"]) for batch in batches))
        if pace.due(done):
            report(_step_event(run, result, pace))
        if run.eval_every is not None and done % run.eval_every == 0 and done < run.total_steps:
            run.pruner.select(run.pruner.schedule.remaining(t), final=True)  # by the scores as they are now
            run.evaluate("during", done, report)
        if done % spec.checkpoint_every == 0 and done < run.total_steps:
            checkpoints.save(done, capture(run.pruner))
        if should_stop():
            with _saving(run, done, checkpoints):
                raise Stopped


@contextmanager
def _saving(run: Run, done: int, checkpoints: Checkpoints) -> Iterator[None]:
    """Where the block is stopped, save the state after ``done`` steps before it is left."""
    try:
        yield
    except Stopped as stopped:
        checkpoints.save(done, capture(run.pruner))
        checkpoints.wait()
        raise Stopped(step=done) from stopped


def _step_event(run: Run, result: StepResult, pace: Pace) -> StepEvent:
    done = result.step + 1
    rows_per_second, eta_seconds = pace.mark(done)
    return StepEvent(
        step=done,
        total_steps=run.total_steps,
        epoch=done * run.spec.gradient_accumulation / run.stream.per_epoch,
        loss=result.loss,
        regularizer=result.update.regularizer,
        remaining=sum(result.kept) / run.matrices.total,
        learning_rate=result.learning_rate,
        grad_norm=result.update.grad_norm,
        rows_per_second=rows_per_second,
        eta_seconds=eta_seconds,
    )
