"""A run that is ready to go: what :mod:`pruning.training.setup` makes, what the loop and the delivery use."""

import platform
import random
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from pruning import __version__
from pruning.data.batching import BatchStream
from pruning.data.encoding import EncodedRows
from pruning.evaluation.evaluate import Evaluation, Split, Stage, evaluate_all, merge_metrics
from pruning.events import EvaluationEvent, EventSink
from pruning.hub.models import ModelFolder
from pruning.masking.wrap import Matrices
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from pruning.training.distributed import ProcessGroup
from pruning.training.pruner import Pruner

Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Run:
    """Model with scores in place, data in order, schedule in steps."""

    spec: PruningSpec
    task: Task
    located: ModelFolder
    base_digest: str
    label_ids: list[int]
    columns: list[int]
    """Of a classifier head: its output for each class of the task."""
    head: nn.Module
    matrices: Matrices
    pruner: Pruner[Batch]
    changed: list[str]
    """Names of the parameters outside the masked matrices that the run trains."""
    train: EncodedRows
    validation: list[Split]
    stream: BatchStream
    total_steps: int
    eval_every: int | None
    max_length: int
    """Tokens at which inputs are cut: the spec's, or what the model can read."""
    device: torch.device
    process_group: ProcessGroup

    def batch(self, step: int, part: int) -> Batch:
        """Micro-batch ``part`` of optimizer step ``step``; of several ranks, this one's share of it."""
        rows = self._micro_batch(step, part)
        return self.process_group.scale_loss(
            self.train.batch(self.process_group.shard(rows), self.device, padded_like=rows), rows
        )

    def rows(self, step: int) -> int:
        """Rows that all ranks together train on in a step."""
        return sum(len(self._micro_batch(step, part)) for part in range(self.spec.gradient_accumulation))

    def _micro_batch(self, step: int, part: int) -> list[int]:
        return self.stream.rows(step * self.spec.gradient_accumulation + part)

    def require_same_scores(self) -> None:
        """Raise PermanentError, on all ranks, unless all have the same scores and masked weights to the last bit."""
        layers = self.matrices.layers.values()
        self.process_group.require_same(
            "the scores", *(tensor for layer in layers for tensor in (layer.scores, layer.weight))
        )

    @property
    def kept(self) -> int:
        """Ones in all masks."""
        return sum(layer.kept for layer in self.matrices.layers.values())

    def evaluate(
        self, stage: Stage, step: int, emit: EventSink, should_stop: Callable[[], bool] = lambda: False
    ) -> list[Evaluation]:
        """Evaluate the masks as they are on the validation rows, and report it; while training on the first split only.

        Of several ranks the first one does; the others find nothing. Raises StoppedError between two batches once ``should_stop``
        says so.
        """
        if not self.process_group.is_main:
            return []
        splits = self.validation[:1] if stage == "during" else self.validation
        evaluations = evaluate_all(self.head, splits, self.task, self.device, should_stop)
        metrics = merge_metrics(evaluations, splits)
        emit(EvaluationEvent(step=step, stage=stage, remaining=self.kept / self.matrices.total, metrics=metrics))
        return evaluations


def seed_everything(seed: int) -> None:
    """Every random generator in reach; batch order has its own (:mod:`pruning.data.encoding`)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def library_versions() -> dict[str, str]:
    """What has to be the same for a run to be repeated bit by bit."""
    names = ("torch", "transformers", "tokenizers", "numpy", "safetensors")
    return {
        "espalier": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }
