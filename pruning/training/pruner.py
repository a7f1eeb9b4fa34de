"""Plain backend: training steps in PyTorch, on any device, for every method, on one process or several.

The native kernels of a CPU are behind :mod:`pruning.masking.kernels.dispatch`. Called by :mod:`pruning.training.loop`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch

from pruning.masking.kernels import dispatch
from pruning.masking.methods.base import Method
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import Matrices
from pruning.training.distributed import SINGLE_PROCESS, ProcessGroup
from pruning.training.step import Backend, Batch, PendingStep, StepResult, forward_backward


@dataclass
class Pruner(Backend[Batch]):
    """A model under pruning: its matrices, how they are masked, and how their scores move."""

    matrices: Matrices
    method: Method
    optimizer: ScoreAdam
    schedule: Schedule
    loss_of: Callable[[Batch], torch.Tensor]
    weight_adam: WeightAdam | None = None
    process_group: ProcessGroup = SINGLE_PROCESS
    max_pending: ClassVar[int] = 0

    @property
    def kernels(self) -> dispatch.KernelName:
        return dispatch.kernel_name(self.device)

    @torch.no_grad()
    def select(self, remaining: float, *, final: bool = False) -> list[int]:
        return self.method.select(self.matrices, remaining, final=final)

    def select_masks(self, remaining: float) -> None:
        self._kept = self.select(remaining)

    def forward_backward(self, batch: Batch, parts: int) -> torch.Tensor:
        return forward_backward(self.loss_of, batch, parts)

    def update(self, t: int, losses: list[torch.Tensor]) -> PendingStep:
        schedule = self.schedule
        # summed over all ranks before anything is decided by them
        means = self.process_group.all_reduce_sum([float(loss) for loss in losses], self._parameters())
        if not all(map(math.isfinite, means)):  # its gradients may be finite
            raise FloatingPointError("the loss is not finite")
        if self.weight_adam:
            self.weight_adam.learning_rate_share = schedule.learning_rate_share(t)
        update = self.optimizer.step(schedule.learning_rate(t), schedule.regularization(t), self.weight_adam)
        for layer in self.matrices.layers.values():
            layer.weight.grad = None
        result = StepResult(
            step=t,
            remaining=schedule.remaining(t),
            regularization=schedule.regularization(t),
            learning_rate=schedule.learning_rate(t),
            loss=sum(means) / len(means),
            kept=self._kept,
            update=update,
        )
        return lambda: result

    def _parameters(self) -> list[torch.Tensor]:
        """All tensors that get a gradient in a backward pass."""
        others = self.weight_adam.parameters if self.weight_adam else []
        return [*(layer.weight for layer in self.matrices.layers.values()), *others]
