"""State of a training run: spec, model, pruner, data in order, schedule in steps.

Made by :mod:`pruning.training.setup`; the loop, checkpoints, progress and artifacts read it.
"""

import platform
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from pruning import __version__
from pruning.data.bad_rows import BadRows
from pruning.data.batching import BatchStream
from pruning.data.encoding import EncodedRows, to_device
from pruning.evaluation.evaluate import Evaluation, Split, Stage, evaluate_all, merge_metrics
from pruning.events import EvaluationEvent, EventSink
from pruning.hub.models import ModelFolder
from pruning.masking.wrap import Matrices
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from pruning.spec.verbalizer import ClassTokens
from pruning.training.best_mask import BestMask
from pruning.training.class_weights import ROW_WEIGHTS, ClassWeights
from pruning.training.distributed import ProcessGroup
from pruning.training.extra_parameters import ExtraParameters
from pruning.training.start_mask import StartMask
from pruning.training.step import Backend

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Run:
    """Model with scores in place, data in order, schedule in steps."""

    spec: PruningSpec
    task: Task
    model_folder: ModelFolder
    base_digest: str
    label_ids: list[ClassTokens]
    columns: list[int]
    """Classifier head: its output for each class of the task."""
    head: nn.Module
    matrices: Matrices
    pruner: Backend[Batch]
    extras: ExtraParameters
    """Parameters that the run trains outside the masked matrices."""
    train: EncodedRows
    validation: list[Split]
    class_weights: ClassWeights | None
    skipped: list[BadRows]
    """Skipped rows of each split that has some."""
    stream: BatchStream
    total_steps: int
    eval_every: int | None
    max_length: int
    """Tokens at which inputs are cut: the spec's, or what the model can read."""
    device: torch.device
    process_group: ProcessGroup
    best: BestMask | None
    """The best mask so far, of a run that delivers it."""
    start: StartMask | None = None
    """The mask that the scores start from."""

    def batch(self, step: int, part: int) -> Batch:
        """Micro-batch ``part`` of optimizer step ``step``; of several ranks, this one's shard of it."""
        rows = self._rows(step, part)
        group = self.process_group
        shard = group.shard(rows)
        batch = self.train.batch(shard, self.device, padded_like=rows) | self._row_weights(shard, step)
        terms = self.train.loss_terms(rows)
        return self._weigh(group.scale_loss(batch, terms), sum(terms), step)

    def micro_batches(self, step: int) -> list[Batch]:
        """All micro-batches of optimizer step ``step``."""
        return [self.batch(step, part) for part in range(self.spec.gradient_accumulation)]

    def row_count(self, step: int) -> int:
        """Rows that all ranks together train on in a step."""
        return sum(len(self._rows(step, part)) for part in range(self.spec.gradient_accumulation))

    def _weigh(self, batch: Batch, terms: int, step: int) -> Batch:
        """``batch`` with the ``weight`` that makes all rows of the step (in token classification all words) have equal weight,
        where its micro-batches differ in size.

        An epoch's last micro-batch is short, and the mean over micro-batches would give its rows more. The presets of the paper and
        of its code keep that mean, which is the reference's.
        """
        parts = self.spec.gradient_accumulation
        if parts == 1 or not self._rows_count_alike:
            return batch
        total = sum(sum(self.train.loss_terms(self._rows(step, part))) for part in range(parts))
        if terms * parts == total:
            return batch
        share = torch.tensor(terms * parts / max(total, 1), dtype=torch.float64, device=self.device)
        return {**batch, "weight": batch["weight"] * share if "weight" in batch else share}

    @property
    def _rows_count_alike(self) -> bool:
        """Whether the loss of a step is a mean over all its rows, and not over its micro-batches."""
        return self.spec.preset == "espalier"

    def _row_weights(self, rows: Sequence[int], step: int) -> Batch:
        """The weights of ``rows`` in the loss of a step, where the task's classes have weights."""
        if self.class_weights is None:
            return {}
        labels = self.train.labels
        parts = [labels[self._rows(step, part)] for part in range(self.spec.gradient_accumulation)]
        weights = self.class_weights.of_rows(labels[list(rows)], parts, by_row=self._rows_count_alike)
        return {} if weights is None else {ROW_WEIGHTS: to_device(weights, self.device)}

    def _rows(self, step: int, part: int) -> list[int]:
        return self.stream.rows(step * self.spec.gradient_accumulation + part)

    def evaluates_after(self, done: int) -> bool:
        """Whether the masks are evaluated after ``done`` steps; after the last step they are anyway."""
        return self.eval_every is not None and done % self.eval_every == 0 and done < self.total_steps

    def saves_after(self, done: int) -> bool:
        """Whether a checkpoint is written after ``done`` steps; none is after the last one."""
        return done % self.spec.checkpoint_every == 0 and done < self.total_steps

    def require_same_scores(self) -> None:
        """Raise PermanentError, on all ranks, unless all have the same scores, masked weights and extra parameters to the last
        bit."""
        layers = self.matrices.layers.values()
        tensors = [tensor for layer in layers for tensor in (layer.scores, layer.weight)]
        self.process_group.require_same("the scores", *tensors, *self.extras.parameters)

    @property
    def kept_weights(self) -> int:
        """Ones in all masks."""
        return sum(layer.kept for layer in self.matrices.layers.values())

    def offer_best(self, done: int, remaining: float, evaluations: list[Evaluation]) -> None:
        """Store the masks that were evaluated after ``done`` steps if they are the best so far at the final sparsity."""
        if self.best is not None and evaluations and remaining == self.pruner.schedule.remaining_final:
            self.best.offer(done, evaluations[0].metrics)

    def evaluate(
        self, stage: Stage, step: int, emit: EventSink, should_stop: Callable[[], bool] = lambda: False, signal: float | None = None
    ) -> list[Evaluation]:
        """Evaluate the masks as they are on the validation rows, and emit the metrics; while training on the first split only.

        ``signal``: the signal-to-noise of the scores as it was last measured. Of several ranks the first one evaluates, the others
        return nothing. Raises StoppedError between two batches once ``should_stop`` says so.
        """
        if not self.process_group.is_main:
            return []
        splits = self.validation[:1] if stage == "during" else self.validation
        evaluations = evaluate_all(self.head, splits, self.task, self.device, should_stop)
        self.emit_evaluation(stage, step, evaluations, emit, signal)
        return evaluations

    def emit_evaluation(
        self, stage: Stage, step: int, evaluations: list[Evaluation], emit: EventSink, signal: float | None = None
    ) -> None:
        """Emit the metrics of the first validation splits, as many as there are evaluations, for the masks as they are."""
        metrics = merge_metrics(evaluations, self.validation[: len(evaluations)])
        first = evaluations[0]
        emit(
            EvaluationEvent(
                step=step,
                stage=stage,
                remaining=self.kept_weights / self.matrices.total,
                metrics=metrics,
                predicted=first.predicted,
                constant_prediction=first.constant,
                signal_to_noise=signal,
            )
        )


def seed_everything(seed: int) -> None:
    """State of every random generator in use; batch order has its own (:mod:`pruning.data.encoding`)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def library_versions() -> dict[str, str]:
    """Settings that a bit-by-bit repetition of a run needs."""
    names = ("torch", "transformers", "tokenizers", "numpy", "safetensors")
    return {"espalier": __version__, "python": platform.python_version(), **{name: version(name) for name in names}}
