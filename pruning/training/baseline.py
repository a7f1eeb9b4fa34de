"""Full fine-tuning of the dense model as a baseline: the batches and steps that the mask had, all weights trained by AdamW.

Called by :mod:`pruning.training.finalize` once the mask is stored, with a fresh copy of the model; its weights are never written.
The recipe is that of transformers' trainer: no weight decay, gradients clipped at ``max_grad_norm``, linear decay to 0, here after
a linear warm-up over 6 % of the steps. A teacher is not used.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from pruning import failpoints
from pruning.errors import StoppedError
from pruning.evaluation.evaluate import Evaluation, evaluate_all, merge_metrics
from pruning.events import BaselineEvent, EventSink, PhaseEvent
from pruning.masking.kernels import dispatch
from pruning.models import dropout
from pruning.models.heads import ClassifierHead, LabelWordHead, create_head
from pruning.models.loading import load_model
from pruning.quality.catalog import make_warning
from pruning.training.distributed import SINGLE_PROCESS
from pruning.training.losses import loss_function
from pruning.training.readout import start_readout
from pruning.training.run import Batch, Run, seed_everything

WARMUP = 0.06
"""Share of the steps in which the learning rate rises."""
_SECONDS = (1.0, 60.0)
"""Least and most between two reports; in between a hundredth of the time so far, so that a day leaves about 2,000."""


@dataclass(frozen=True)
class Baseline:
    """The dense model after its training."""

    evaluations: list[Evaluation]
    """Evaluation of each validation split."""
    metrics: dict[str, float]
    steps: int
    learning_rate: float
    seconds: float
    """Seconds spent in training steps."""
    rows_per_second: float

    def numbers(self) -> dict[str, object]:
        """Part of the job's result."""
        return {
            "metrics": self.metrics,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.rows_per_second, 3),
        }


def train_baseline(run: Run, emit: EventSink, should_stop: Callable[[], bool]) -> Baseline | None:
    """Train a fresh copy of the model for the steps of ``run`` on one device and evaluate it.

    None, with a warning, where it diverges. Raises StoppedError between two steps or batches once ``should_stop`` says so, and
    PermanentError where the model folder can no longer be read.
    """
    emit(PhaseEvent(phase="baseline", message=f"full fine-tuning of the dense model, {run.total_steps} steps"))
    alone = replace(run, process_group=SINGLE_PROCESS)  # the other ranks have ended
    head = dense_head(run)
    training = _Training(alone, head, emit)
    for t in range(run.total_steps):
        if should_stop():
            raise StoppedError
        try:
            training.step(t)
        except FloatingPointError as fault:
            emit(make_warning("baseline_diverged", f"fine-tuning of the dense model diverged at step {t}: {fault}"))
            return None
        failpoints.hit(failpoints.Failpoint.BASELINE_STEP)
    evaluations = evaluate_all(head, run.validation, run.task, run.device, should_stop)
    metrics = merge_metrics(evaluations, run.validation)
    training.report(run.total_steps, metrics)
    return Baseline(
        evaluations, metrics, run.total_steps, run.spec.baseline_learning_rate, training.seconds, training.rows_per_second
    )


def dense_head(run: Run) -> LabelWordHead | ClassifierHead:
    """A fresh copy of the model under the head of ``run``, all of it trainable; a new classifier starts as that of ``run`` did."""
    spec = run.spec
    seed_everything(spec.seed)  # as before the model of the mask was loaded
    words, classes = run.task.label_words, run.task.classes
    loaded = load_model(run.model_folder, words, spec.head, pieces=spec.label_word_pieces, classes=classes, dropout=spec.dropout)
    if dispatch.kernel_name(run.device) == "native":
        dropout.replace_dropout(loaded.model)
    calibration = run.head.calibration if isinstance(run.head, LabelWordHead) else None
    head = create_head(loaded, run.label_ids, run.columns, spec.head, calibration, spec.pooling).to(run.device)
    start_readout(spec, run.task, loaded, head, run.train, run.device, run.class_weights)
    return head.requires_grad_()


def rate_share(t: int, steps: int) -> float:
    """Factor of the learning rate in step ``t`` from 0: linear from 0 to 1 over WARMUP of the steps, then linear to 0."""
    warm = int(WARMUP * steps)
    return (t + 1) / warm if t < warm else (steps - t) / max(1, steps - warm)


class _Training:
    """Optimizer and clock of a baseline."""

    def __init__(self, run: Run, head: nn.Module, emit: EventSink) -> None:
        self._run, self._emit = run, emit
        self._parameters = list(head.parameters())
        self._optimizer = torch.optim.AdamW(self._parameters, weight_decay=0.0)
        self._loss_of = loss_function(head, run.task, run.spec, run.device, run.class_weights)
        self._rows, self._loss = 0, math.nan
        self._reported = self._began = time.monotonic()
        self.seconds = 0.0
        head.train()

    @property
    def rows_per_second(self) -> float:
        """Seconds since the first step."""
        return self._rows / max(self.seconds, 1e-9)

    def step(self, t: int) -> None:
        """One optimizer step. Raises FloatingPointError for a loss or gradient that is not finite."""
        run = self._run
        batches = run.micro_batches(t)
        losses = [self._backward(batch, len(batches)) for batch in batches]
        norm = nn.utils.clip_grad_norm_(self._parameters, run.spec.max_grad_norm)
        self._loss = sum(losses)
        if not math.isfinite(self._loss) or not math.isfinite(float(norm)):
            raise FloatingPointError(f"loss {self._loss:.3g}, norm of the gradients {float(norm):.3g}")
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(t)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._rows += run.row_count(t)
        now = time.monotonic()
        self.seconds = now - self._began
        least, most = _SECONDS
        if t + 1 < run.total_steps and now - self._reported >= min(max(least, self.seconds / 100), most):
            self._reported = now
            self.report(t + 1)

    def report(self, done: int, metrics: dict[str, float] | None = None) -> None:
        """Emit the state after ``done`` steps."""
        total = self._run.total_steps
        self._emit(
            BaselineEvent(
                step=done,
                total_steps=total,
                loss=self._loss,
                learning_rate=self._rate(done - 1),
                rows_per_second=self.rows_per_second,
                eta_seconds=self.seconds / done * (total - done),
                metrics=metrics,
            )
        )

    def _rate(self, t: int) -> float:
        return self._run.spec.baseline_learning_rate * rate_share(t, self._run.total_steps)

    def _backward(self, batch: Batch, parts: int) -> float:
        batch.pop("teacher", None)
        loss = self._loss_of(batch) / parts
        torch.autograd.backward(loss)
        return float(loss.detach())
