"""First read-out of a run: the last matrix of its head, fitted on the calibration rows before anything is trained.

Called by :mod:`pruning.training.build` and :mod:`pruning.training.baseline`, which have put the head on the dense model.
"""

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from pruning.data.batching import evaluation_batches, spaced_rows
from pruning.data.encoding import EncodedRows
from pruning.data.tagged_words import IGNORED
from pruning.models.heads import ClassifierHead, LabelWordHead
from pruning.models.loading import LoadedModel
from pruning.models.readout_fit import Kind, fit_readout
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task
from pruning.training.class_weights import ClassWeights, log_weights

_MOST_FEATURES = 8192
"""Most features of tagged tokens; a decomposition of that many takes seconds."""


def start_readout(
    spec: PruningSpec,
    task: Task,
    loaded: LoadedModel,
    head: LabelWordHead | ClassifierHead,
    train: EncodedRows,
    device: torch.device,
    weights: ClassWeights | None,
) -> None:
    """Replace weight and bias of ``head.readout`` by their ridge regression on the calibration rows, where the spec asks for it and
    the read-out was not trained for a task before.

    With class ``weights`` it starts at the weighted frequencies. A matrix without a bias takes the fitted weights alone. Fewer than
    two rows fit nothing and leave it as it is.
    """
    if not spec.fit_readout or not _begins_untrained(loaded, head):
        return
    rows = train.take(spaced_rows(len(train), spec.calibration_rows))
    columns = head.columns if isinstance(head, ClassifierHead) else list(range(head.readout.out_features))
    features, labels = _features(head, rows, device)
    if len(features) < 2:
        return
    kind: Kind = "classification" if task.kind == "token-classification" else cast(Kind, task.kind)
    fit = fit_readout(features, labels, kind, len(columns), log_weights(weights))
    with torch.no_grad():
        head.readout.weight[columns] = torch.from_numpy(fit.weight).to(head.readout.weight)
        if head.readout.bias is not None:
            head.readout.bias[columns] = torch.from_numpy(fit.bias).to(head.readout.bias)


@torch.no_grad()
def _features(
    head: LabelWordHead | ClassifierHead, rows: EncodedRows, device: torch.device
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """Inputs of the read-out [N, F] and their labels, the head in evaluation mode; N are rows, or tokens that have a tag."""
    states: list[torch.Tensor] = []
    features, labels = [], []
    handle = head.readout.register_forward_pre_hook(lambda _module, inputs: states.append(inputs[0]))
    was_training = head.training
    head.eval()
    try:
        for numbers in evaluation_batches(rows.lengths, 32):
            batch = rows.batch(numbers, device)
            states.clear()
            head(**{name: tensor for name, tensor in batch.items() if name != "labels"})
            if rows.tag_ids is None:
                features.append(_of_rows(states[-1], batch["attention_mask"]).float().cpu())
                labels.append(batch["labels"].cpu())
            else:
                tagged = batch["labels"] != IGNORED
                features.append(states[-1][tagged].float().cpu())
                labels.append(batch["labels"][tagged].cpu())
    finally:
        handle.remove()
        head.train(was_training)
    chosen = spaced_rows(sum(map(len, labels)), _MOST_FEATURES)
    return torch.cat(features)[chosen].numpy(), torch.cat(labels)[chosen].numpy()


def _begins_untrained(loaded: LoadedModel, head: LabelWordHead | ClassifierHead) -> bool:
    """Whether the last matrix is rows of label words, or of a classifier that the checkpoint lacks."""
    if isinstance(head, LabelWordHead):
        return True
    named = dict(loaded.model.named_parameters())
    return any(named[name] is head.readout.weight for name in loaded.new_parameters)


def _of_rows(states: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """[B, F] of [B, F], [B, 1, F], or, where a decoder classifies every position, of the last token in [B, S, F]."""
    if states.ndim == 2:
        return states
    if states.shape[1] == 1:
        return states[:, 0]
    last = (attended * torch.arange(attended.shape[1], device=attended.device)).argmax(dim=1)
    return states[torch.arange(len(states), device=states.device), last]
