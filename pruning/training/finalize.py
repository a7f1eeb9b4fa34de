"""End of a run: final masks, their evaluation, and the artifacts that a user downloads.

Called by :mod:`pruning.training.train`, on the first rank alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pruning.evaluation.evaluate import (
    PREDICTIONS,
    PREDICTIONS_MEDIA_TYPE,
    Evaluation,
    evaluate_all,
    merge_metrics,
    write_predictions,
)
from pruning.events import ArtifactEvent, EventSink, FinishedEvent, LogEvent, PhaseEvent
from pruning.export.child_process import make_exports
from pruning.formats import compact_file, mask_file, trained_weights
from pruning.models.heads import LabelWordHead
from pruning.quality.outcome import Measured, judge, judge_baseline
from pruning.report.page import HTML_REPORT, JSON_REPORT, write_reports
from pruning.sources import Sources
from pruning.spec.export_formats import Format
from pruning.training.baseline import train_baseline
from pruning.training.history import History
from pruning.training.report_data import COMPACT, MASK, Kept, job_result, report_data
from pruning.training.run import Run, library_versions

BINARY = "application/octet-stream"


def finalize(
    run: Run,
    before: list[Evaluation],
    history: History,
    work: Path,
    emit: EventSink,
    should_stop: Callable[[], bool],
    sources: Sources,
    exports: Sequence[Format] = (),
) -> None:
    """Select and evaluate the final masks, write artifacts and exports, train the baseline if asked for, emit ``finished``.

    With ``keep`` best, the final masks are those of the evaluation with the best metric, the last one of all included."""
    emit(PhaseEvent(phase="evaluating", message="the final mask"))
    run.pruner.select(run.pruner.schedule.remaining_final, final=True)
    last = evaluate_all(run.head, run.validation, run.task, run.device, should_stop)
    deliver = partial(_deliver, run, before, history, work, emit, should_stop, sources, exports)
    best = run.best.better_than(last[0].metrics) if run.best is not None else None
    if run.best is None or best is None:
        run.emit_evaluation("final", run.total_steps, last, emit, history.latest_signal)
        deliver(last, Kept(run.total_steps, last[0].metrics))
        return
    run.emit_evaluation("during", run.total_steps, last[:1], emit, history.latest_signal)
    metric = run.best.metric
    values = f"{metric} {best.metrics[metric]:.4g}; that of the last step has {last[0].metrics[metric]:.4g}"
    emit(LogEvent(message=f"keep best: the mask of step {best.step} is delivered, {values}"))
    with run.best.in_place(best):
        deliver(run.evaluate("final", best.step, emit, should_stop, history.latest_signal), Kept(best.step, last[0].metrics))


def _deliver(
    run: Run,
    before: list[Evaluation],
    history: History,
    work: Path,
    emit: EventSink,
    should_stop: Callable[[], bool],
    sources: Sources,
    exports: Sequence[Format],
    final: list[Evaluation],
    kept: Kept,
) -> None:
    """Everything after the choice of the masks."""
    emit(PhaseEvent(phase="saving"))
    folder = work / "artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    weights = _write_trained_weights(run, folder / trained_weights.WEIGHTS)
    masks = {path: mask.cpu().numpy() for path, mask in run.matrices.masks.items()}
    info = _mask_info(run, final, weights.sha256 if weights else None)
    mask_file.write(folder / MASK, masks, info)
    compact_file.write(folder / COMPACT, masks, info)
    write_predictions(folder / PREDICTIONS, run.task.kind, run.validation[:1], final[:1])
    if weights:
        emit(weights)
    emit(ArtifactEvent.from_file(folder / MASK, BINARY))
    emit(ArtifactEvent.from_file(folder / COMPACT, compact_file.MEDIA_TYPE))
    emit(ArtifactEvent.from_file(folder / PREDICTIONS, PREDICTIONS_MEDIA_TYPE))
    if exports:
        figures = make_exports(exports, folder / MASK, run.model_folder.path, sources, emit, should_stop)
        emit(ArtifactEvent.from_file(figures, "application/json"))
    for warning in judge(run.task.kind, _measured(run, final), history.latest_signal):
        emit(warning)
    history.stop_clock()
    baseline = train_baseline(run, emit, should_stop) if run.spec.baseline else None
    if baseline is not None:
        for warning in judge_baseline(_measured(run, baseline.evaluations)):
            emit(warning)
    result = job_result(run, before, final, folder, history.seconds, kept) | {"baseline": baseline.numbers() if baseline else None}
    write_reports(folder, report_data(run, history, final, result, masks, folder))
    emit(ArtifactEvent.from_file(folder / JSON_REPORT, "application/json"))
    emit(ArtifactEvent.from_file(folder / HTML_REPORT, "text/html; charset=utf-8"))
    emit(FinishedEvent(metrics=result))


def _measured(run: Run, evaluations: list[Evaluation]) -> Measured:
    """Input of the warnings: the first split, which evaluations during training read as well."""
    first, metric = evaluations[0], run.task.metrics[0]
    return Measured(metric, first.metrics[metric], len(run.validation[0].rows.labels), first.constant, first.constant_metric)


def _write_trained_weights(run: Run, path: Path) -> ArtifactEvent | None:
    """Store what was trained in addition to scores; None where nothing was, as in tier masks."""
    moved = run.spec.method_info.trains_weights and not run.spec.one_shot
    if not moved and not run.extras.count:
        return None
    masks = run.matrices.masks if moved else {}
    trained_weights.write(path, run.head.get_submodule("model"), masks, run.extras.names, run.extras.readout)
    return ArtifactEvent.from_file(path, BINARY)


def _mask_info(run: Run, final: list[Evaluation], weights_sha256: str | None) -> mask_file.MaskInfo:
    layers = run.matrices.layers
    calibration = run.head.calibration if isinstance(run.head, LabelWordHead) else None
    return mask_file.MaskInfo(
        base_model=run.spec.model,
        base_revision=run.model_folder.revision,
        base_digest=run.base_digest,
        task=run.task.name,
        kind=run.task.kind,
        head=run.spec.head,
        label_words=run.task.label_words,
        label_ids=tuple(run.label_ids),
        columns=tuple(run.columns),
        logit_scale=calibration.scale if calibration else None,
        logit_offsets=calibration.offsets if calibration else (),
        label_threshold=final[0].metrics["threshold"] if run.task.kind == "multilabel" else None,
        no_answer_threshold=final[0].metrics["best_f1_thresh"] if run.task.no_answers else None,
        weights_sha256=weights_sha256,
        template=run.spec.template,
        pooling=run.spec.pooling,
        max_length=run.max_length,
        shapes={path: (layer.out_features, layer.in_features) for path, layer in layers.items()},
        kept={path: layer.kept for path, layer in layers.items()},
        metrics=merge_metrics(final, run.validation),
        spec=run.spec.of_the_mask,
        versions=library_versions(),
    )
