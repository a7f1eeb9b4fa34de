"""Linear probe: logistic regression on the frozen dense model's [CLS] and mean states of the rows that a run would see.

States of both kinds side by side, standardised; ridge regression for a regression task. One pass over the rows, no gradients.
"""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.quality.cell import Cell
from benchmarks.quality.outcome import Moment, Notify, Outcome, is_constant, rows_until
from benchmarks.quality.rivals.inputs import DenseInputs, load
from pruning.data.batching import evaluation_batches
from pruning.data.encoding import EncodedRows
from pruning.evaluation.metrics import compute_metrics, predictions_from_logits
from pruning.sources import Sources

_BATCH = 32


def run(cell: Cell, sources: Sources, notify: Notify) -> Outcome:
    """Fit on the distinct rows of the cell's budget. Raises PermanentError, TemporaryError."""
    began = time.perf_counter()
    dense = load(cell, sources)
    start = Moment.now()
    rows = dense.stream.seen(cell.steps)
    notify(f"states of {len(rows)} rows")
    features = _states(dense, dense.inputs.train, rows)
    labels = dense.inputs.train.labels.numpy()[rows]
    regression = dense.task.kind == "regression"
    c = cell.settings["c"]
    model = make_pipeline(StandardScaler(), Ridge(alpha=1 / c) if regression else LogisticRegression(C=c, max_iter=1000))
    model.fit(features, labels)
    training = Moment.now() - start
    seen = rows_until(dense.stream, cell.steps)

    def scores(encoded: EncodedRows) -> tuple[dict[str, float], bool]:
        found = _logits(model, _states(dense, encoded, range(len(encoded))), len(dense.task.label_words))
        predictions = predictions_from_logits(dense.task, found)
        return compute_metrics(dense.task, found, encoded.labels.numpy()), is_constant(predictions.tolist())

    metrics, constant = scores(dense.inputs.validation[0].encoded)
    primary = dense.task.metrics[0]
    count = features.shape[1] * (1 if regression else len(dense.task.label_words)) + len(dense.task.label_words)
    return Outcome(
        primary_metric=primary,
        metrics=metrics,
        curve=[(cell.steps, round(training.wall, 3), seen, metrics[primary], round(training.cpu, 3))],
        seconds_training=round(training.wall, 3),
        cpu_seconds_training=round(training.cpu, 3),
        seconds_total=round(time.perf_counter() - began, 3),
        sparsity=None,
        one_class=constant,
        artifact_bytes=4 * count,
        extra_parameters=count,
        evaluate=lambda held_out: scores(dense.splits_of(held_out)[0].encoded)[0],
    )


@torch.no_grad()
def _states(dense: DenseInputs, encoded: EncodedRows, rows: Any) -> npt.NDArray[np.float32]:
    """[rows, 2 × hidden]: first state and the mean over the tokens."""
    model: Any = dense.inputs.loaded.model
    encoder = getattr(model, model.base_model_prefix).eval()
    numbers = np.asarray(rows)
    found: npt.NDArray[np.float32] = np.empty((len(numbers), 2 * model.config.hidden_size), dtype=np.float32)
    for positions in evaluation_batches(encoded.lengths[numbers], _BATCH):
        batch = encoded.batch(numbers[positions].tolist(), dense.device)
        batch.pop("labels")
        states = encoder(**batch).last_hidden_state
        inside = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        mean = (states * inside).sum(1) / inside.sum(1)
        found[positions] = torch.cat([states[:, 0], mean], dim=1).float().cpu().numpy()
    return found


def _logits(model: Any, features: npt.NDArray[np.float32], classes: int) -> npt.NDArray[np.float64]:
    """[rows, classes] in class-id order; [rows, 1] of a regression."""
    if not hasattr(model, "decision_function"):
        return np.asarray(model.predict(features), dtype=np.float64)[:, np.newaxis]
    found = np.full((len(features), classes), -np.inf)
    found[:, model[-1].classes_] = model.predict_log_proba(features)
    return found
