"""Evaluation of a mask without a training: on its task's validation rows, on another split, or on another data set.

Called by ``python -m pruning evaluate``. On the rows that the training validated on, every metric is that of the training's final
evaluation to the last bit, on the same kind of machine with the same number of threads.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pruning.data.encoding import encode_fitting
from pruning.data.evaluation_checks import OTHER_SPLIT
from pruning.data.jsonl import find_dataset
from pruning.data.reader import Rows, load_rows, with_known_tags
from pruning.evaluation.evaluate import Evaluation, Split, evaluate, merge_metrics
from pruning.evaluation.progress import minutely
from pruning.events import EvaluationEvent, EventSink, LogEvent, PhaseEvent
from pruning.formats import compact_file
from pruning.formats.mask_file import MaskInfo
from pruning.inference.masked_base import create_mask_head, load_dense_base
from pruning.inference.pruned_model import PrunedModel, load_pruned, task_of
from pruning.models.loading import find_model
from pruning.quality.outcome import Measured, judge
from pruning.sources import Sources
from pruning.spec.tasks import Task


@dataclass(frozen=True)
class EvaluationRows:
    """Which rows to evaluate on; by default those that the training validated on."""

    dataset: str | None = None
    """Another data set with the task's columns and labels; None: the task's own."""
    config: str | None = None
    """Configuration of a hub data set."""
    split: str | None = None
    """None: the task's validation splits, or of another data set the one named ``validation``."""
    rows: int | None = None
    """The first rows alone."""

    def load(self, info: MaskInfo, sources: Sources, emit: EventSink = lambda _: None) -> tuple[Task, list[Rows]]:
        """The mask's task on these rows, and the rows of each split. Raises PermanentError, TemporaryError as
        :func:`pruning.data.reader.load_rows`, also for labels that the mask does not have."""
        task = task_of(info)
        if self.dataset is not None:
            task = task.on_dataset(self.dataset, self.config, self.split or OTHER_SPLIT)
        splits = task.validation_splits if self.split is None else (self.split,)
        limit = self.rows
        if limit is None and self.dataset is None and set(splits) <= set(task.validation_splits):
            limit = info.spec.validation_rows
        if find_dataset(sources, task.name) is None:
            emit(PhaseEvent(phase="downloading", message=f"data set {task.dataset}"))
        found = [load_rows(task, split, sources, limit) for split in splits]
        if task.kind == "token-classification":
            found = [with_known_tags(rows, task, task.class_names) for rows in found]
        for rows in found:
            for note in rows.notes:
                emit(LogEvent(message=f"split {rows.split}: {note}"))
        return task, found


VALIDATION_ROWS = EvaluationRows()


@dataclass(frozen=True)
class MaskEvaluation:
    """Predictions of the masked model on some rows, and their metrics."""

    task: Task
    splits: list[Split]
    evaluations: list[Evaluation]

    @property
    def metrics(self) -> dict[str, float]:
        return merge_metrics(self.evaluations, self.splits)

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(len(split.rows.labels) for split in self.splits)


def evaluate_mask(pruned: PrunedModel, sources: Sources, chosen: EvaluationRows = VALIDATION_ROWS) -> dict[str, float]:
    """Metrics of a mask on the chosen rows; by default those of the final evaluation of its training."""
    task, rows = chosen.load(pruned.info, sources)
    return evaluate_rows(pruned, task, rows).metrics


def evaluate_rows(pruned: PrunedModel, task: Task, rows: list[Rows], emit: EventSink = lambda _: None) -> MaskEvaluation:
    """Evaluate on loaded rows, with a progress report about every minute."""
    spec, info = pruned.info.spec, pruned.info
    splits = [Split(*encode_fitting(each, task, pruned.tokenizer, info.max_length, spec.stride)) for each in rows]
    report = minutely(emit)
    found = [evaluate(pruned.head, split, task, pruned.device, progress=report) for split in splits]
    return MaskEvaluation(task, splits, found)


def run_evaluation(
    mask: Path, chosen: EvaluationRows, sources: Sources, emit: EventSink, *, model: Path | None = None, dense: bool = False
) -> tuple[MaskEvaluation, dict[str, Any]]:
    """Evaluate a mask, with ``dense`` its base without the mask as well; the evaluations, and the result as JSON.

    The result has ``final`` and ``before`` (of the dense model, or None) by metric, ``primary_metric``, ``rows``, ``splits``,
    ``dataset``, ``config``, ``remaining`` and ``seconds``. Computes on a GPU where there is one. Raises PermanentError,
    TemporaryError.
    """
    started = time.monotonic()
    emit(PhaseEvent(phase="validating"))
    _, info = compact_file.read_either(mask)
    task, rows = chosen.load(info, sources, emit)
    if model is None:
        model = find_model(info.base_model, info.base_revision, sources, emit).path
    before = None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if dense:
        emit(PhaseEvent(phase="evaluating", message="the dense model, zero-shot"))
        loaded = load_dense_base(info, model=model, sources=sources)
        base = PrunedModel(create_mask_head(loaded, info).to(device), loaded.tokenizer, info)
        before = evaluate_rows(base, task, rows, emit).metrics
        emit(EvaluationEvent(step=0, stage="before", remaining=1.0, metrics=before))
        del loaded, base
    pruned = load_pruned(mask, model=model, sources=sources)
    pruned.head.to(device)
    emit(PhaseEvent(phase="evaluating", message=f"the mask, {sum(len(each.labels) for each in rows):,} rows"))
    found = evaluate_rows(pruned, task, rows, emit)
    first = found.evaluations[0]
    emit(
        EvaluationEvent(
            step=0,
            stage="final",
            remaining=info.density,
            metrics=found.metrics,
            predicted=first.predicted,
            constant_prediction=first.constant,
        )
    )
    for warning in judge(task.kind, _measured(found), None):
        emit(warning)
    return found, {
        "primary_metric": task.metrics[0],
        "final": found.metrics,
        "before": before,
        "rows": found.rows,
        "splits": [each.split for each in rows],
        "dataset": task.dataset,
        "config": task.config,
        "remaining": info.density,
        "seconds": time.monotonic() - started,
    }


def _measured(found: MaskEvaluation) -> Measured:
    first, metric = found.evaluations[0], found.task.metrics[0]
    rows = len(found.splits[0].rows.labels)
    return Measured(metric, first.metrics[metric], rows, first.constant, first.constant_metric)
