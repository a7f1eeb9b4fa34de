"""First read-out of a run: the last matrix of its head, fitted on the calibration rows before anything is trained.

Called by :mod:`pruning.training.build`, which has put the head on the dense model.
"""

from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from pruning.data.batching import evaluation_batches
from pruning.data.encoding import EncodedRows
from pruning.models.heads import ClassifierHead, LabelWordHead
from pruning.models.readout_fit import Kind, fit_readout
from pruning.spec.tasks import Task


def start_readout(head: LabelWordHead | ClassifierHead, task: Task, rows: EncodedRows, device: torch.device) -> None:
    """Replace weight and bias of ``head.readout`` by their ridge regression on ``rows``, in place.

    A matrix without a bias takes the weights alone. Fewer than two rows fit nothing and leave it as it is.
    """
    if len(rows) < 2:
        return
    columns = head.columns if isinstance(head, ClassifierHead) else list(range(head.readout.out_features))
    fit = fit_readout(_features(head, rows, device), rows.labels.numpy(), cast(Kind, task.kind), len(columns))
    with torch.no_grad():
        head.readout.weight[columns] = torch.from_numpy(fit.weight).to(head.readout.weight)
        if head.readout.bias is not None:
            head.readout.bias[columns] = torch.from_numpy(fit.bias).to(head.readout.bias)


@torch.no_grad()
def _features(head: LabelWordHead | ClassifierHead, rows: EncodedRows, device: torch.device) -> npt.NDArray[np.float32]:
    """[N, F]: what the read-out reads of each row, the head in evaluation mode."""
    found = np.empty((len(rows), head.readout.in_features), dtype=np.float32)
    seen: list[torch.Tensor] = []
    handle = head.readout.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    was_training = head.training
    head.eval()
    try:
        for numbers in evaluation_batches(rows.lengths, 32):
            batch = rows.batch(numbers, device)
            seen.clear()
            head(**{name: tensor for name, tensor in batch.items() if name != "labels"})
            found[numbers] = _of_rows(seen[-1], batch["attention_mask"]).float().cpu().numpy()
    finally:
        handle.remove()
        head.train(was_training)
    return found


def _of_rows(states: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """[B, F] of [B, F], [B, 1, F], or, where a decoder classifies every position, of the last token in [B, S, F]."""
    if states.ndim == 2:
        return states
    if states.shape[1] == 1:
        return states[:, 0]
    last = (attended * torch.arange(attended.shape[1], device=attended.device)).argmax(dim=1)
    return states[torch.arange(len(states), device=states.device), last]
