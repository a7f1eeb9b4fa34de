"""Training steps that a GPU takes by itself: launched one behind the other, their results read a step later.

The same steps as :class:`pruning.training.pruner.Pruner` takes, by the programs in
:mod:`pruning.masking.kernels.triton.availability`: equal masks for equal scores, sums and updates equal up to rounding.
Nothing that happens in :meth:`GpuPruner.launch` depends on a number from the device, so the host is a step ahead of it:
while the device computes, the host launches what comes next and makes the next batch. Forward and backward of a batch whose
shape has come before are repeated from a recording (:mod:`pruning.training.cuda_graphs`).

A loss or gradient that is not finite is found on the device, which from then on changes neither scores nor moments; the
host learns of it when it reads the result. Imported only where Triton is: by :mod:`pruning.training.backends`.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from pruning.masking.kernels import dispatch
from pruning.masking.kernels.triton.adam import ScoreUpdate as Programs
from pruning.masking.kernels.triton.adam import StepNumbers
from pruning.masking.kernels.triton.allocation import MassAllocation
from pruning.masking.kernels.triton.chunk_table import CHUNK, TILE, ChunkTable, to_device_async
from pruning.masking.kernels.triton.readback import AsyncReadback
from pruning.masking.kernels.triton.topk import SelectionState, TopKSelection
from pruning.masking.score_adam import BETA1, BETA2, EPSILON, UpdateStats, weight_gradient
from pruning.training.cuda_graphs import Capture, CudaGraphCache, cuda_graph_capture, forward_backward
from pruning.training.pruner import Batch, Pruner, StepResult


@dataclass
class GpuPruner(Pruner[Batch]):
    """A pruner that :func:`pruning.training.backends.unsupported_reason` has nothing against; ``optimizer`` holds the
    moments and counts the updates."""

    chunk: int = CHUNK
    tile: int = TILE
    """How the work is cut, for tests."""
    bf16: bool = False
    """Whether ``loss_of`` computes in bf16: W ⊙ M is then rounded once a step, and gradients stay as they come."""
    capture: Capture | None = None
    """What passes are recorded by; on a GPU CUDA graphs, unless another way is given."""
    max_pending: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._layers = list(self.matrices.layers.values())
        self._remarks: list[str] = []
        self._wide: list[torch.Tensor] = []
        self._replays: CudaGraphCache | None = None
        if self.capture is None and self.device.type == "cuda":
            self.capture = cuda_graph_capture(self.device)
        if self.capture is not None:
            weights = [layer.weight for layer in self._layers]
            loss_of: Callable[[Any], torch.Tensor] = lambda batch: self.loss_of(batch)  # noqa: E731 - as it is by then
            self._replays = CudaGraphCache(loss_of, weights, self.capture, self._remarks.append)
        table = ChunkTable(self.matrices.sizes, self.device, chunk=self.chunk, tile=self.tile)
        ranking = self.method.ranking
        if ranking is None:
            raise ValueError(
                f"{type(self.method).__name__} selects in another way; ask pruning.training.backends.unsupported_reason before"
            )
        self._ranking = ranking
        self._programs = Programs(table)
        self._selection = TopKSelection(table, together=ranking.scope == "model")
        self._temperatures: list[float | None] = [None] * len(self._layers)
        self._shares: MassAllocation | None = None
        if ranking.mass_shares is not None:
            self._temperatures = [ranking.mass_shares.temperature] * len(self._layers)
            self._shares = MassAllocation(table, self._groups(), ranking.mass_shares.surplus)
        self._measured: list[tuple[int, int]] = []
        """What :meth:`_state` was when the masses were last found."""

    @classmethod
    def from_pruner(cls, pruner: Pruner[Batch], **fields: Any) -> Self:
        """One that takes the steps of ``pruner`` in its place; ``fields`` are those that it has beside.

        Raises UnsupportedSizesError.
        """
        return cls(pruner.matrices, pruner.method, pruner.optimizer, pruner.schedule, pruner.loss_of, **fields)

    @property
    def kernels(self) -> dispatch.KernelName:
        return "triton"

    def take_warnings(self) -> list[str]:
        told = list(self._remarks)
        self._remarks.clear()
        return told

    def select(self, remaining: float, *, final: bool = False) -> list[int]:
        self._select(remaining)
        kept, faults = AsyncReadback(self._selection.kept, self._selection.state[SelectionState.FAULT]).read()
        _require_ranked(faults)
        return [int(count) for count in kept]

    def step(self, t: int, micro_batches: Iterable[Batch]) -> StepResult:
        return self.launch(t, micro_batches)()

    def launch(self, t: int, micro_batches: Iterable[Batch]) -> Callable[[], StepResult]:
        """Begin step t, without waiting for anything; what is returned waits for its end.

        That raises FloatingPointError where loss or gradients stopped being finite, then or before; scores and moments are
        those before it.
        """
        schedule = self.schedule
        remaining, regularization = schedule.remaining(t), schedule.regularization(t)
        learning_rate = schedule.learning_rate(t)
        self._select(remaining)
        told, gradients = self._passes(list(micro_batches))
        self._update(learning_rate, regularization, told, gradients)
        selection = self._selection
        arrival = AsyncReadback(told, self._programs.report, selection.kept, selection.state[SelectionState.FAULT])

        def result() -> StepResult:
            losses, report, kept, faults = arrival.read()
            _require_ranked(faults)
            return StepResult(
                step=t,
                remaining=remaining,
                regularization=regularization,
                learning_rate=learning_rate,
                loss=sum(losses) / len(losses),
                kept=[int(count) for count in kept],
                update=_told(losses, report),
            )

        return result

    @torch.no_grad()
    def _select(self, remaining: float) -> None:
        """Every mask and every masked weight anew."""
        selection, counts = self._selection, self._counts(remaining)
        if self.bf16:
            rooms = [layer.masked_weight_buffer(torch.bfloat16) for layer in self._layers]
            selection.select(self._scores(), counts, self._base(), halves=rooms)
        else:
            selection.select(
                self._scores(), counts, self._base(), [layer.masked_weight_buffer() for layer in self._layers]
            )
        for layer, packed in zip(self._layers, selection.masks, strict=True):
            layer.set_packed_mask(packed)

    def _passes(self, batches: list[Batch]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """The loss of each batch, float64, and dL/d(W ⊙ M) of each matrix for their mean: float32, or bf16 of one batch."""
        if self._replays is not None:
            self._replays.begin_step()
        losses, sums = [], list[torch.Tensor]()
        for batch in batches:
            losses.append(self._pass(batch, len(batches)))
            if self.bf16 and len(batches) > 1:  # added up in bf16 they would lose what single batches say
                found = [weight_gradient(layer) for layer in self._layers]
                sums = sums or [torch.zeros_like(layer.base) for layer in self._layers]
                torch._foreach_add_(sums, [gradient.float() for gradient in found])
                torch._foreach_zero_(found)
        return torch.stack(losses).double(), sums or [weight_gradient(layer) for layer in self._layers]

    def _pass(self, batch: Batch, parts: int) -> torch.Tensor:
        """Add the gradients of a ``parts``-th of the loss to ``weight.grad``; the loss."""
        if self._replays is not None and isinstance(batch, dict):
            return self._replays.forward_backward(batch, parts)
        return forward_backward(self.loss_of, batch, parts)

    def _counts(self, remaining: float) -> torch.Tensor:
        """Ones of every ranking, int64 on the device."""
        if self._shares is not None:
            if self._state() != self._measured:  # from outside: a prior, a checkpoint
                self._programs.compute_masses(self._scores(), self._temperatures)
                self._measured = self._state()
            return self._shares.allocate(
                self._programs.masses, to_device_async([remaining], torch.float64, self.device)
            )
        return to_device_async(self._ranking.counts(self.matrices, remaining), torch.int64, self.device)

    @torch.no_grad()
    def _update(
        self, learning_rate: float, regularization: float, losses: torch.Tensor, found: list[torch.Tensor]
    ) -> None:
        """Turn the gradients of the masked weights into one update of all scores, and drop them."""
        adam, programs = self.optimizer, self._programs
        adam.steps += 1
        step, divisor = adam.step_size(learning_rate)
        numbers = StepNumbers(
            regularization=regularization, shift=adam.penalty_shift, max_grad_norm=adam.max_grad_norm, keep1=BETA1,
            take1=1 - BETA1, keep2=BETA2, take2=1 - BETA2, step=step, divisor=divisor, epsilon=EPSILON,
        )  # fmt: skip
        sent = to_device_async(numbers, torch.float64, self.device)
        gradients = self._widened(found)
        programs.gradients(found, gradients, self._base(), self._scores(), [None] * len(gradients), sent)
        programs.clip(sent, losses=losses)
        programs.adam(self._scores(), gradients, adam.first, adam.second, sent, self._temperatures)
        torch.autograd.graph.increment_version(self._scores())  # torch has not seen the writes
        self._measured = self._state()
        if self._replays is None:  # else they stay where recordings write to
            for layer in self._layers:
                layer.weight.grad = None

    def _widened(self, found: list[torch.Tensor]) -> list[torch.Tensor]:
        """Where the gradients of the scores go: float32, the place of ``found`` where that will do."""
        if found[0].dtype == torch.float32:
            return found
        if not self._wide:
            self._wide = [torch.empty_like(layer.base) for layer in self._layers]
        return self._wide

    def _scores(self) -> list[torch.Tensor]:
        return [layer.scores for layer in self._layers]

    def _base(self) -> list[torch.Tensor]:
        return [layer.base for layer in self._layers]

    def _state(self) -> list[tuple[int, int]]:
        """Address of each matrix's scores, and torch's count of the writes to them."""
        return [(scores.data_ptr(), scores._version) for scores in self._scores()]

    def _groups(self) -> list[list[int]]:
        numbers = {path: i for i, path in enumerate(self.matrices.layers)}
        return [[numbers[path] for path in paths] for paths in self.matrices.groups.values()]


def _told(losses: list[float], report: list[float]) -> UpdateStats:
    """A report of the programs for the host. Raises FloatingPointError."""
    *found, norm, _, alive = report
    means, squares = found[: len(found) // 2], found[len(found) // 2 :]
    if not all(map(math.isfinite, losses)):
        raise FloatingPointError("the loss is not finite")
    if not alive:
        raise FloatingPointError("the gradients of the scores are not finite")
    return UpdateStats(sum(means) / len(means), [math.sqrt(square) for square in squares], norm)


def _require_ranked(faults: list[float]) -> None:
    if any(faults):
        raise ValueError("a score is NaN, or a count no mask has; no ranking exists")
