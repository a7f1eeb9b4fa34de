"""Logits and metrics of a head over encoded rows: the same function before, during and after training, and on masks."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pruning.data import Encoded, evaluation_batches
from pruning.events import EvaluationEvent
from pruning.metrics import score
from pruning.prepare import Report, Run

BATCH_TOKENS = 8192
"""Rough size of an evaluation batch; part of what fixes the logits to the last bit."""


@dataclass(frozen=True)
class Evaluation:
    """What the validation rows gave."""

    logits: npt.NDArray[np.float32]
    """[rows, C], in the order of the rows."""
    metrics: dict[str, float]


@torch.no_grad()
def logits_of(head: nn.Module, rows: Encoded, device: torch.device) -> npt.NDArray[np.float32]:
    """Logits [N, C] in the order of the rows; the head is in evaluation mode meanwhile and put back after.

    The cut into batches depends on the rows alone, so equal weights give equal bits.
    """
    was_training = head.training
    head.eval()
    lengths = rows.lengths
    batch_size = max(1, BATCH_TOKENS // int(lengths.max()))
    found: npt.NDArray[np.float32] | None = None
    for numbers in evaluation_batches(lengths, batch_size):
        inputs = rows.batch(numbers, device)
        inputs.pop("labels")
        logits = head(**inputs).float().cpu().numpy()
        if found is None:
            found = np.empty((len(rows), logits.shape[1]), dtype=np.float32)
        found[numbers] = logits
    head.train(was_training)
    if found is None:
        raise ValueError("there are no rows to evaluate")
    return found


def evaluate(run: Run, stage: Literal["before", "during", "final"], step: int, report: Report) -> Evaluation:
    """Evaluate the masks as they are on the validation rows, and report it."""
    logits = logits_of(run.head, run.validation, run.device)
    metrics = score(run.task, logits, run.validation.labels.numpy())
    kept = sum(layer.kept for layer in run.matrices.layers.values())
    report(EvaluationEvent(step=step, stage=stage, remaining=kept / run.matrices.total, metrics=metrics))
    return Evaluation(logits, metrics)
