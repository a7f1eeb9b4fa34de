"""Choice of the backend that takes a run's steps: the GPU's own kernels where they apply, else plain PyTorch.

Called by :mod:`pruning.training.build` for the choice, by :mod:`pruning.training.train` for the reason.
"""

import torch

from pruning.masking.kernels.triton import availability
from pruning.masking.kernels.triton.chunk_table import ChunkTable, UnsupportedSizesError
from pruning.training.distributed import SINGLE_PROCESS
from pruning.training.pruner import Pruner
from pruning.training.step import Backend, Batch


def select_backend(pruner: Pruner[Batch], precision: str = "fp32") -> Backend[Batch]:
    """The fastest backend for the steps of ``pruner``: itself, or one that leaves them to the GPU.

    ``precision`` is that of the forward passes in ``loss_of``.
    """
    if unsupported_reason(pruner):
        return pruner
    from pruning.training.gpu_pruner import GpuPruner  # imports Triton

    return GpuPruner.from_pruner(pruner, bf16=precision == "bf16")


def unsupported_reason(pruner: Pruner[Batch]) -> str:
    """Why the GPU's kernels cannot take the steps of a pruner; empty where they can."""
    if pruner.method.ranking is None:
        return "the fused kernels are for smp-s, smp-l and smp-g without a pattern"
    if pruner.method.ranking.scope == "model" and pruner.matrices.own is not None:
        return "the fused kernels rank all matrices together, and with sparsity_by some of smp-g's are ranked separately"
    if pruner.weight_adam and pruner.weight_adam.trains_masked_weights:
        return "the fused kernels are for runs that leave the masked weights as they are"
    if pruner.process_group is not SINGLE_PROCESS:
        return "the fused kernels are for runs on one device"
    layers = list(pruner.matrices.layers.values())
    if any(layer.scores.dtype != torch.float32 for layer in layers):
        return "the fused kernels are for scores in float32"
    try:
        table = ChunkTable(pruner.matrices.sizes, torch.device("cpu"))
    except UnsupportedSizesError as fault:
        return str(fault)
    return availability.unavailable_reason(pruner.device, whole=table.whole)
