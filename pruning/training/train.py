"""Training run from spec to artifacts: set up, evaluate the dense model, resume, run the loop, finalize.

Called by ``python -m pruning train``.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from pruning import failpoints
from pruning.errors import PermanentError
from pruning.events import CheckpointEvent, EventSink, LogEvent, PhaseEvent, StartedEvent
from pruning.masking.kernels import dispatch
from pruning.models.checks import read_model_type
from pruning.quality.budget import check_budget
from pruning.sources import Sources
from pruning.spec.export_formats import Format, unsupported_by_pooling
from pruning.spec.schema import PruningSpec
from pruning.training import backends
from pruning.training.checkpoint import Checkpoints, earlier_identity, identity
from pruning.training.distributed import SINGLE_PROCESS, ProcessGroup
from pruning.training.finalize import finalize
from pruning.training.history import History
from pruning.training.loop import run_loop
from pruning.training.pruner import Pruner
from pruning.training.resume import resume, save_checkpoint, saved_when_stopped
from pruning.training.run import Run, library_versions
from pruning.training.setup import set_up


def train(
    spec: PruningSpec,
    work: Path,
    sources: Sources,
    emit: EventSink,
    should_stop: Callable[[], bool] = lambda: False,
    process_group: ProcessGroup = SINGLE_PROCESS,
    exports: Sequence[Format] = (),
) -> None:
    """Run a spec to the end: artifacts in ``work/artifacts``, checkpoints in ``work/checkpoints``, events to ``emit``.

    Resumes from the newest checkpoint of the same run found in ``work``. Of several ranks each calls this; the first one
    writes. Raises PermanentError, TemporaryError, or, once ``should_stop`` says so on any rank and a checkpoint is written,
    StoppedError.
    """
    history = History()
    emit = history.recording(emit)
    run = set_up(spec, sources, emit, process_group)
    _check_exports(run, exports)
    failpoints.hit(failpoints.Failpoint.PREPARED)
    emit(PhaseEvent(phase="evaluating", message="the dense model, zero-shot"))
    before = run.evaluate("before", 0, emit)
    about = run.spec, run.base_digest, run.train, run.pruner.kernels, run.start.sha256 if run.start else ""
    checkpoints = Checkpoints(
        work / "checkpoints", identity(*about), lambda step: emit(CheckpointEvent(step=step)), earlier_identity(*about)
    )
    first_step = resume(run, history, checkpoints, emit)
    _emit_started(run, first_step, emit)
    try:
        run_loop(run, first_step, history, checkpoints, emit, should_stop)
        failpoints.hit(failpoints.Failpoint.TRAINED)
        run.require_same_scores()
        if process_group.is_main:
            with saved_when_stopped(run, run.total_steps, history, checkpoints):
                if spec.baseline:  # takes about as long again; a process killed meanwhile need not train the mask again
                    save_checkpoint(run, run.total_steps, history, checkpoints)
                    checkpoints.wait()
                finalize(run, before, history, work, emit, should_stop, sources, exports)
    finally:
        checkpoints.wait()  # a checkpoint that is being written is finished, and reported, before the last event


def _check_exports(run: Run, exports: Sequence[Format]) -> None:
    """Refuse exports that a submission could not refuse: the type of a model on the hub is known only now. Raises
    PermanentError."""
    misfit = unsupported_by_pooling(exports, run.spec.pooling, read_model_type(run.model_folder.path))
    if misfit is not None:
        raise PermanentError(misfit.message, code="export_unsupported", param=f"exports.{misfit.index}")


def _emit_started(run: Run, first_step: int, emit: EventSink) -> None:
    emit(
        StartedEvent(
            total_steps=run.total_steps,
            resumed_from=first_step,
            model_revision=run.model_folder.revision,
            base_digest=run.base_digest,
            matrices=len(run.matrices.layers),
            masked_weights=run.matrices.total,
            train_rows=len(run.train),
            validation_rows=sum(len(split.rows.labels) for split in run.validation),
            device=str(run.device),
            validation_share=run.spec.validation_share,
            versions={**library_versions(), "kernels": run.pruner.kernels},
            class_weights=None if run.class_weights is None else list(run.class_weights.values),
        )
    )
    if first_step == 0:  # else an earlier attempt has logged it
        for warning in check_budget(run.spec, run.total_steps, run.matrices.total):
            emit(warning)
        if run.start is not None:
            run.pruner.select(run.pruner.schedule.remaining(0))
            for note in run.start.describe(run.matrices.masks):
                emit(note)
    if run.extras.count:
        share = run.extras.count / run.matrices.total
        emit(
            LogEvent(
                message=f"trained in addition to the scores: {run.extras.count:,} parameters, {share:.2%} of the masked weights"
            )
        )
    if run.pruner.kernels == "plain" and (reason := _plain_reason(run)):
        emit(LogEvent(message=f"scores are selected and updated by plain PyTorch, which takes longer: {reason}"))
    emit(PhaseEvent(phase="training", message=f"{run.total_steps} steps"))


def _plain_reason(run: Run) -> str:
    """Reason why neither the GPU's nor the native kernels take the steps; empty where the run has no steps."""
    if run.device.type != "cuda":
        return dispatch.unavailable_reason()
    return backends.unsupported_reason(run.pruner) if run.total_steps and isinstance(run.pruner, Pruner) else ""
