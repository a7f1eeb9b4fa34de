"""One training step of score-only pruning, the same for every caller: the loop, the parity tests, the benchmarks."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch

from pruning.masking.kernels import dispatch
from pruning.masking.methods.base import Method
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam, UpdateStats
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import Matrices
from pruning.training.distributed import SINGLE_PROCESS, ProcessGroup

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class StepResult:
    """What happened in step t; everything is measured in its forward and backward pass, before its update."""

    step: int
    remaining: float
    """v_t, the share asked for; ``kept`` has what rounding made of it."""
    regularization: float
    """λ_t."""
    learning_rate: float
    loss: float
    """Mean task loss of the micro-batches, without the regulariser."""
    kept: list[int]
    """Ones in the mask of each matrix."""
    update: UpdateStats


@dataclass
class Pruner(Generic[Batch]):
    """A model under pruning: its matrices, how they are masked, and how their scores move."""

    matrices: Matrices
    method: Method
    optimizer: ScoreAdam
    schedule: Schedule
    loss_of: Callable[[Batch], torch.Tensor]
    """Differentiable mean task loss of one micro-batch."""
    weight_adam: WeightAdam | None = None
    """What else is trained, if anything."""
    process_group: ProcessGroup = SINGLE_PROCESS
    max_pending: ClassVar[int] = 0
    """Steps that may have been launched after one whose result is asked for, if nobody is to wait."""

    @property
    def kernels(self) -> dispatch.KernelName:
        """What the scores are selected and updated with."""
        return dispatch.kernel_name(self.device)

    @property
    def device(self) -> torch.device:
        """Where the scores are."""
        return next(iter(self.matrices.layers.values())).scores.device

    def take_warnings(self) -> list[str]:
        """What the run's log should say of the steps so far, each once."""
        return []

    def select(self, remaining: float, *, final: bool = False) -> list[int]:
        """Make every mask, and with it every masked weight, anew; returns the ones of each matrix."""
        with torch.no_grad():
            return self.method.select(self.matrices, remaining, final=final)

    def launch(self, t: int, micro_batches: Iterable[Batch]) -> Callable[[], StepResult]:
        """Take step t, or where the device works by itself begin it; what is returned waits for the end, and raises what
        :meth:`step` does."""
        result = self.step(t, micro_batches)
        return lambda: result

    def step(self, t: int, micro_batches: Iterable[Batch]) -> StepResult:
        """Select, run the micro-batches forward and backward, update the scores once.

        Raises FloatingPointError when loss or gradients stop being finite.
        """
        schedule = self.schedule
        remaining, regularization = schedule.remaining(t), schedule.regularization(t)
        kept = self.select(remaining)
        losses = []
        batches = list(micro_batches)
        for batch in batches:
            loss = self.loss_of(batch)
            torch.autograd.backward(loss / len(batches))
            losses.append(float(loss.detach()))
        losses = self.process_group.all_reduce_sum(losses, self._parameters())  # before anything is decided by them
        if not all(map(math.isfinite, losses)):  # its gradients may well be
            raise FloatingPointError("the loss is not finite")
        if self.weight_adam:
            self.weight_adam.learning_rate_share = schedule.learning_rate_share(t)
        update = self.optimizer.step(schedule.learning_rate(t), regularization, self.weight_adam)
        for layer in self.matrices.layers.values():
            layer.weight.grad = None
        return StepResult(
            step=t,
            remaining=remaining,
            regularization=regularization,
            learning_rate=schedule.learning_rate(t),
            loss=sum(losses) / len(losses),
            kept=kept,
            update=update,
        )

    def _parameters(self) -> list[torch.Tensor]:
        """All that a backward pass leaves a gradient in."""
        others = self.weight_adam.parameters if self.weight_adam else []
        return [*(layer.weight for layer in self.matrices.layers.values()), *others]
