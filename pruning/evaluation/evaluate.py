"""Logits, predictions and metrics of a head over encoded rows.

Called before, during and after training, for exports and for downloaded masks: equal weights give equal bits everywhere.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pruning.data import squad, squad_v2
from pruning.data.batching import evaluation_batches
from pruning.data.encoding import EncodedRows
from pruning.data.reader import Rows
from pruning.errors import StoppedError
from pruning.evaluation import multilabel, tagging
from pruning.evaluation.constancy import constant_metric, count_predictions, is_constant
from pruning.evaluation.metrics import compute_metrics, predictions_from_logits
from pruning.spec.custom_task import TaskKind
from pruning.spec.tasks import Task

BATCH_TOKENS = 8192
"""Approximate tokens of an evaluation batch; the logits depend on it in their last bits."""
PREDICTIONS = "predictions.jsonl"
"""File of predictions: one JSON object per row of a split, in its order."""
PREDICTIONS_MEDIA_TYPE = "application/jsonl"
Stage = Literal["before", "during", "final"]


@dataclass(frozen=True)
class Split:
    """A validation split, as read and as tokenized."""

    rows: Rows
    encoded: EncodedRows


@dataclass(frozen=True)
class Evaluation:
    """Results on one split."""

    logits: list[npt.NDArray[np.float32]]
    """[C] of each row; for spans [tokens, 2] of each window, for token classification [tokens, C] of each row."""
    predictions: list[Any]
    """Class id, number or answer of each row; multilabel: label ids, at the threshold of ``metrics``; or its tags."""
    metrics: dict[str, float]
    predicted: list[int] | None = None
    """Rows that were given each class or label, by its id; None for tasks without classes."""
    constant: bool = False
    """Whether all rows got the same prediction although their labels differ."""
    constant_metric: float | None = None
    """The task's first metric of always predicting the most frequent class or set of labels; None for spans."""


def compute_logits(
    head: nn.Module,
    rows: EncodedRows,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    chosen: Sequence[int] | None = None,
) -> list[npt.NDArray[np.float32]]:
    """Logits in the order of the rows: [C] of each row, [tokens, 2] of each window, or [tokens, C] for token classification; an
    empty array for rows that are not ``chosen``.

    The head is in evaluation mode meanwhile and in its former mode after. The cut into batches depends on the rows alone, so equal
    weights give equal bits. ``progress`` is called with the inputs computed, and all, after each batch. Raises StoppedError between
    two batches once ``should_stop`` says so.
    """
    done = 0
    found: list[npt.NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(rows)
    was_training = head.training
    head.eval()
    taken = range(len(rows)) if chosen is None else chosen
    for numbers, logits in _batched(head, rows, taken, device):
        if should_stop():
            raise StoppedError
        for row, values in zip(numbers, logits, strict=True):
            found[row] = values if values.ndim == 1 else values[: len(rows.input_ids[row])].copy()
        done += len(numbers)
        progress(done, len(taken))
    head.train(was_training)
    return found


@torch.no_grad()
def _batched(
    head: nn.Module, rows: EncodedRows, taken: Sequence[int], device: torch.device
) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
    lengths = rows.lengths[np.asarray(taken)]
    for places in evaluation_batches(lengths, max(1, BATCH_TOKENS // int(lengths.max()))):
        numbers = [taken[place] for place in places]
        inputs = rows.batch(numbers, device)
        inputs.pop("labels")
        inputs.pop("teacher", None)
        yield numbers, head(**inputs).float().cpu().numpy()


def evaluate(
    head: nn.Module,
    split: Split,
    task: Task,
    device: torch.device,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Logits, predictions and every metric of the task on one split. ``progress`` and StoppedError are :func:`compute_logits`'s."""
    logits = compute_logits(head, split.encoded, device, should_stop, progress)
    labels = split.rows.labels
    if task.kind == "multilabel":
        metrics = multilabel.compute_metrics(np.stack(logits), split.encoded.labels.numpy())
        predictions = predict(logits, split, task, metrics["threshold"])
    elif split.encoded.words is not None:
        predictions = predict(logits, split, task)
        found = tagging.compute_metrics(predictions, labels, split.encoded.words)
        metrics = {name: found[name] for name in (*task.metrics, "words_cut")}
    elif task.no_answers and split.encoded.windows is not None:
        spans, differences = squad_v2.spans_and_differences(logits, split.encoded.windows, split.rows.texts[1])
        found = squad_v2.compute_metrics(spans, differences, [answers["text"] for answers in labels])
        metrics = {name: found.pop(name) for name in task.metrics} | found
        predictions = squad_v2.answers_at(spans, differences, metrics["best_f1_thresh"])
    elif task.kind == "span":
        predictions = predict(logits, split, task)
        metrics = squad.compute_metrics(predictions, [answers["text"] for answers in labels])
    else:
        predictions = predict(logits, split, task)
        metrics = compute_metrics(task, np.stack(logits), split.encoded.labels.numpy())
    return Evaluation(
        logits,
        predictions,
        metrics,
        predicted=count_predictions(task, predictions),
        constant=is_constant(task, labels, predictions),
        constant_metric=constant_metric(task, labels),
    )


def predict(logits: list[npt.NDArray[np.float32]], split: Split, task: Task, threshold: float | None = None) -> list[Any]:
    """Class id, number, label ids, tags or answer of each row.

    ``threshold``: the probability from which a label is given, or the score difference above which a question has no answer.
    """
    if task.kind == "multilabel":
        return multilabel.label_ids(np.stack(logits), multilabel.DEFAULT_THRESHOLD if threshold is None else threshold)
    if split.encoded.words is not None:
        return tagging.tags_of(logits, split.encoded.words, task.class_names)
    if split.encoded.windows is not None and task.no_answers:
        answers = squad_v2.spans_and_differences(logits, split.encoded.windows, split.rows.texts[1])
        return squad_v2.answers_at(*answers, squad_v2.DEFAULT_THRESHOLD if threshold is None else threshold)
    if split.encoded.windows is not None:
        contexts = split.rows.texts[1]
        return squad.extract_answers(logits, split.encoded.windows, contexts, len(contexts))
    predictions: list[Any] = predictions_from_logits(task, np.stack(logits)).tolist()
    return predictions


def evaluate_all(
    head: nn.Module, splits: list[Split], task: Task, device: torch.device, should_stop: Callable[[], bool] = lambda: False
) -> list[Evaluation]:
    """Every validation split of a task; MNLI has two."""
    return [evaluate(head, split, task, device, should_stop) for split in splits]


def merge_metrics(evaluations: list[Evaluation], splits: list[Split]) -> dict[str, float]:
    """Metrics of all splits: those of the first by their names, others with the split's (``accuracy_mismatched``)."""
    metrics = dict(evaluations[0].metrics)
    for evaluation, split in zip(evaluations[1:], splits[1:], strict=True):
        suffix = split.rows.split.removeprefix("validation_")
        metrics |= {f"{name}_{suffix}": value for name, value in evaluation.metrics.items()}
    return metrics


def write_predictions(path: Path, kind: TaskKind, splits: Sequence[Split], evaluations: Sequence[Evaluation]) -> None:
    """Write ``row``, ``label``, ``prediction`` and, except for spans and tags, ``logits``; of several splits ``split`` as well.

    ``row`` counts from 0 in the split as it is given: of rows held out, in the training split.
    """
    with path.open("w", encoding="utf-8") as lines:
        for split, found in zip(splits, evaluations, strict=True):
            for i, (label, prediction) in enumerate(zip(split.rows.labels, found.predictions, strict=True)):
                row = {"row": split.rows.number_of(i) - 1, "label": label, "prediction": prediction}
                if kind not in ("span", "token-classification"):
                    row["logits"] = [float(value) for value in found.logits[i]]
                if len(splits) > 1:
                    row["split"] = split.rows.split
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
