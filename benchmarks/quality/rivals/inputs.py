"""Inputs of a dense rival: stock sequence classifier, tokenized rows, batches in the order of the project's runs, evaluation."""

from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.quality.cell import Cell
from benchmarks.quality.outcome import is_constant
from pruning.data.batching import BatchStream
from pruning.data.encoding import encode_rows
from pruning.data.reader import load_rows
from pruning.evaluation.evaluate import Split, evaluate_all, merge_metrics
from pruning.models.heads import ClassifierHead
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from pruning.training.distributed import join_process_group
from pruning.training.inputs import Inputs, load_inputs
from pruning.training.run import seed_everything


@dataclass(frozen=True)
class DenseInputs:
    """A dense model with a classification head that is new, and its rows."""

    inputs: Inputs
    stream: BatchStream
    device: torch.device

    @property
    def task(self) -> Task:
        """Columns and metrics."""
        return self.inputs.task

    def head(self, model: nn.Module) -> ClassifierHead:
        """The classifier of ``model`` as the project evaluates one."""
        return ClassifierHead(model, self.inputs.columns)

    def evaluate(self, head: nn.Module) -> tuple[dict[str, float], bool]:
        """Metrics on the validation rows, and whether all of them get one prediction."""
        found = evaluate_all(head, self.inputs.validation, self.task, self.device)
        return merge_metrics(found, self.inputs.validation), is_constant(found[0].predictions)

    def splits_of(self, sources: Sources) -> list[Split]:
        """The validation splits of another data set directory, tokenized likewise."""
        tokenizer, length = self.inputs.loaded.tokenizer, self.inputs.max_length
        splits = [load_rows(self.task, name, sources) for name in self.task.validation_splits]
        return [Split(rows, encode_rows(rows, self.task, tokenizer, length)) for rows in splits]

    def evaluate_on(self, head: nn.Module, sources: Sources) -> dict[str, float]:
        """Metrics on the validation splits of another data set directory."""
        splits = self.splits_of(sources)
        return merge_metrics(evaluate_all(head, splits, self.task, self.device), splits)


def load(cell: Cell, sources: Sources) -> DenseInputs:
    """Load model and rows, the new head started from the cell's seed. Raises PermanentError, TemporaryError."""
    spec = reading_spec(cell)
    device = join_process_group(1).device
    seed_everything(cell.seed)
    inputs = load_inputs(spec, sources, lambda event: None, device)
    inputs.loaded.model.to(device)
    return DenseInputs(inputs, BatchStream(inputs.train.lengths, cell.batch, cell.seed), device)


def reading_spec(cell: Cell) -> PruningSpec:
    """A spec that reads the rows of a rival's cell; nothing is pruned by it."""
    return PruningSpec.model_validate(
        {
            "model": cell.model,
            "task": cell.task,
            "head": "classifier",
            "preset": "paper",
            "max_steps": cell.steps,
            "batch_size": cell.batch,
            "seed": cell.seed,
            "max_length": cell.settings["max_length"],
            "dropout": cell.settings.get("model_dropout"),
        }
    )
