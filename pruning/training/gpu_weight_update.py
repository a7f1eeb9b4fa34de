"""AdamW over biases, norms and a head on a GPU: one vector, updated by the scores' own kernel, without a copy to the host.

Four launches a step in addition to the kernel: the gradients and the parameters are gathered, the norm taken, the parameters
written back. Called by :mod:`pruning.training.gpu_pruner`, which clips these gradients together with those of the scores, or
on their own. Importing this module imports Triton.
"""

import math

import numpy as np
import torch

from pruning.masking.kernels.triton.adam import ScoreUpdate, StepScalars
from pruning.masking.kernels.triton.chunk_table import ALIGNMENT, ChunkTable
from pruning.masking.kernels.triton.transfers import to_device_async
from pruning.masking.score_adam import BETA1, BETA2, EPSILON
from pruning.masking.weight_adam import WeightAdam


class GpuWeightUpdate:
    """The updates of ``weight_adam``, which trains no masked weights; its moments are parts of two vectors kept here."""

    def __init__(self, weight_adam: WeightAdam, like: ChunkTable) -> None:
        """``like`` is the table of the scores, whose compiled kernels are used here, too."""
        self._weight_adam, self._parameters = weight_adam, weight_adam.parameters
        count = sum(parameter.numel() for parameter in self._parameters)
        padded = -(-count // ALIGNMENT) * ALIGNMENT
        self._values, self._gradient, self._first, self._second = (torch.zeros(padded, device=like.device) for _ in range(4))
        self._count = count
        self._steps = np.zeros((), np.float32)
        """Updates so far: memory of the host, which a checkpoint's number is read into."""
        weight_adam.keep_moments_in(torch.from_numpy(self._steps), self._first, self._second)
        table = ChunkTable([padded], like.device, chunk=like.chunk, tile=like.tile, warps=like.warps)
        table.whole = like.whole
        self._kernels = ScoreUpdate(table)

    def collect_gradients(self) -> torch.Tensor:
        """Gather the gradients, zero where there are none; their norm, float64 [1] on the device."""
        found = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in self._parameters]
        torch.cat([gradient.reshape(-1) for gradient in found], out=self._gradient[: self._count])
        norm: torch.Tensor = torch.linalg.vector_norm(self._gradient, dtype=torch.float64)
        return norm.reshape(1)

    def own_clipping(self, norm: torch.Tensor, clipping: torch.Tensor, bound: float) -> torch.Tensor:
        """The clipping of these gradients alone, of this ``norm``; whether the update takes place is that of ``clipping``."""
        return torch.cat([norm, torch.clamp(bound / (norm + 1e-6), max=1.0), clipping[2:]])

    def step(self, clipping: torch.Tensor, *, keep_gradients: bool) -> None:
        """Launch the update, none unless everything was finite; ``clipping`` is that of the scores' update, or of these alone.

        ``keep_gradients``: they stay where CUDA graphs write to.
        """
        self._steps += 1
        steps = int(self._steps)
        correction1, correction2 = 1 - BETA1**steps, math.sqrt(1 - BETA2**steps)
        numbers = StepScalars(
            regularization=0.0,
            shift=0.0,
            max_grad_norm=0.0,
            keep1=BETA1,
            take1=1 - BETA1,
            keep2=BETA2,
            take2=1 - BETA2,
            step=-self._weight_adam.learning_rate / correction1,
            divisor=correction2,
            epsilon=EPSILON,
        )
        sent = to_device_async(numbers, torch.float64, self._values.device)
        values = self._values[: self._count]
        torch.cat([parameter.detach().reshape(-1) for parameter in self._parameters], out=values)
        vectors = [self._values], [self._gradient], [self._first], [self._second]
        self._kernels.adam(*vectors, sent, [None], clipping)
        moved = torch.split(values, [parameter.numel() for parameter in self._parameters])
        shaped = [part.view(parameter.shape) for part, parameter in zip(moved, self._parameters, strict=True)]
        torch._foreach_copy_(tuple(self._parameters), shaped)
        if not keep_gradients:
            for parameter in self._parameters:
                parameter.grad = None
