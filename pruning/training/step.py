"""Optimizer step of a pruning run: its result, and the protocol of the backends that take it.

:mod:`pruning.training.loop` calls the phases of a backend one by one; tests and benchmarks call :meth:`Backend.step`. The backends
are :class:`pruning.training.pruner.Pruner`, plain PyTorch, and :class:`pruning.training.gpu_pruner.GpuPruner`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

import torch

from pruning.masking.kernels import dispatch
from pruning.masking.methods.base import Method
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam, UpdateStats
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import Matrices

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class StepResult:
    """Measurements of step t; everything is measured in its forward and backward pass, before its update."""

    step: int
    remaining: float
    """v_t, the share asked for; ``kept`` is the rounded one."""
    regularization: float
    """λ_t."""
    learning_rate: float
    loss: float
    """Mean task loss of the micro-batches, without the regulariser."""
    kept: list[int]
    """Ones in the mask of each matrix."""
    update: UpdateStats


PendingNumber = Callable[[], float]
"""A measurement that was launched; calling it waits for its end."""
PendingStep = Callable[[], StepResult]
"""A step that was launched; calling it waits for its end. Raises FloatingPointError if loss or gradients were not finite."""


class Backend(Protocol[Batch]):
    """A model under pruning, and the implementation that takes its steps.

    A step is :meth:`select_masks`, then :meth:`forward_backward` of each micro-batch, then :meth:`update`. A backend whose
    device works asynchronously waits for none of them; up to ``max_pending`` steps are then launched before the result of
    the first is read.
    """

    matrices: Matrices
    method: Method
    optimizer: ScoreAdam
    """Holds the moments of the scores and counts the updates."""
    schedule: Schedule
    loss_of: Callable[[Batch], torch.Tensor]
    """Differentiable mean task loss of one micro-batch."""
    weight_adam: WeightAdam | None
    """Optimizer of what is trained in addition to scores, if anything."""
    max_pending: ClassVar[int]

    @property
    def kernels(self) -> dispatch.KernelName:
        """Implementation that selects and updates the scores."""
        ...

    def select(self, remaining: float, *, final: bool = False) -> list[int]:
        """Recompute every mask M, and every W ⊙ M; the ones of each matrix."""
        ...

    def select_masks(self, remaining: float) -> None:
        """First phase of a step: :meth:`select`, without waiting for the counts."""
        ...

    def forward_backward(self, batch: Batch, parts: int) -> torch.Tensor:
        """Second phase, for each of ``parts`` micro-batches: add dL/d(W ⊙ M) / ``parts`` to ``weight.grad``; the loss L."""
        ...

    def update(self, t: int, losses: list[torch.Tensor]) -> PendingStep:
        """Last phase: one update of the scores, and of what else is trained, from the gradients, which are dropped.

        ``losses`` are those of the step's micro-batches. Raises FloatingPointError, now or from the result, when a loss or
        gradient is not finite; scores and moments then stay as they were.
        """
        ...

    def measure_signal(self, done: int) -> PendingNumber | None:
        """Signal-to-noise ρ of the scores' gradients, where it is measured after ``done`` updates, all of them launched."""
        found = self.optimizer.signal.read() if self.optimizer.signal.measures_after(done) else None
        if found is None:
            return None
        value = float(found)
        return lambda: value

    def take_warnings(self) -> list[str]:
        """Warnings about the steps so far, for the log; each is returned once."""
        return []

    @property
    def device(self) -> torch.device:
        """Device of the scores."""
        return next(iter(self.matrices.layers.values())).scores.device

    def launch(self, t: int, micro_batches: Iterable[Batch]) -> PendingStep:
        """All phases of step t, as :mod:`pruning.training.loop` takes them."""
        self.select_masks(self.schedule.remaining(t))
        batches = list(micro_batches)
        return self.update(t, [self.forward_backward(batch, len(batches)) for batch in batches])

    def step(self, t: int, micro_batches: Iterable[Batch]) -> StepResult:
        """:meth:`launch`, and wait for the result."""
        return self.launch(t, micro_batches)()


def forward_backward(loss_of: Callable[[Batch], torch.Tensor], batch: Batch, parts: int) -> torch.Tensor:
    """Forward and backward pass of one of ``parts`` micro-batches, in PyTorch; the loss, detached."""
    loss = loss_of(batch)
    torch.autograd.backward(loss / parts)
    return loss.detach()
