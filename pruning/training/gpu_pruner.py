"""GPU backend: asynchronous training steps by Triton kernels and CUDA graphs, whose results are read one step late.

The same steps as :class:`pruning.training.pruner.Pruner` takes: equal masks for equal scores, sums and updates equal up to
rounding. No phase of a step depends on a number from the device, so the host is a step ahead of it: while the device computes,
the host launches what comes next and makes the next batch. Forward and backward of a batch whose shape has come before are
replayed from a CUDA graph (:mod:`pruning.training.cuda_graphs`).

A loss or gradient that is not finite is found on the device, which from then on changes neither scores nor moments; the host
detects it when it reads the result. Importing this module imports Triton, so only :mod:`pruning.training.backends` does it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from pruning.masking.kernels import dispatch
from pruning.masking.kernels.triton.adam import ScoreUpdate, StepScalars
from pruning.masking.kernels.triton.chunk_table import CHUNK, TILE, ChunkTable
from pruning.masking.kernels.triton.topk import SelectionState, TopKSelection
from pruning.masking.kernels.triton.transfers import AsyncReadback, to_device_async
from pruning.masking.methods.base import Method
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import BETA1, BETA2, EPSILON, ScoreAdam, UpdateStats, weight_gradient
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import Matrices
from pruning.training.cuda_graphs import Capture, CudaGraphCache, cuda_graph_capture
from pruning.training.gpu_counts import MaskCounts
from pruning.training.gpu_weight_update import GpuWeightUpdate
from pruning.training.pruner import Pruner
from pruning.training.step import Backend, Batch, PendingNumber, PendingStep, StepResult, forward_backward


@dataclass
class GpuPruner(Backend[Batch]):
    """Takes the steps of a pruner that :func:`pruning.training.backends.unsupported_reason` supports."""

    matrices: Matrices
    method: Method
    optimizer: ScoreAdam
    schedule: Schedule
    loss_of: Callable[[Batch], torch.Tensor]
    weight_adam: WeightAdam | None = None
    """Optimizer of biases, norms and a head, where these are trained; never of masked weights."""
    chunk: int = CHUNK
    tile: int = TILE
    """Sizes of the chunks and tiles, for tests."""
    bf16: bool = False
    """Whether ``loss_of`` computes in bf16: W ⊙ M is then rounded once a step, and gradients stay as they come."""
    capture: Capture | None = None
    """How passes are captured; on a GPU CUDA graphs, unless another way is given."""
    max_pending: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._layers = list(self.matrices.layers.values())
        self._warnings: list[str] = []
        self._wide: list[torch.Tensor] = []
        self._sums: list[torch.Tensor] = []
        """Gradients of the micro-batches so far, float32, where they come in bf16."""
        self._graphs: CudaGraphCache | None = None
        if self.capture is None and self.device.type == "cuda":
            self.capture = cuda_graph_capture(self.device)
        if self.capture is not None:
            extras = self.weight_adam.parameters if self.weight_adam else []
            weights = [*(layer.weight for layer in self._layers), *extras]
            loss_of: Callable[[Any], torch.Tensor] = lambda batch: self.loss_of(batch)  # noqa: E731 - as it is by then
            self._graphs = CudaGraphCache(loss_of, weights, self.capture, self._warnings.append)
        table = ChunkTable(self.matrices.sizes, self.device, chunk=self.chunk, tile=self.tile)
        ranking = self.method.ranking
        if ranking is None:
            raise ValueError(
                f"{type(self.method).__name__} selects in another way; ask pruning.training.backends.unsupported_reason before"
            )
        self._score_update = ScoreUpdate(table)
        self._weight_update = GpuWeightUpdate(self.weight_adam, table) if self.weight_adam else None
        self._counts = MaskCounts(ranking, self.matrices, table, self._score_update)
        self._selection = TopKSelection(table, together=ranking.scope == "model")

    @classmethod
    def from_pruner(cls, pruner: Pruner[Batch], **fields: Any) -> Self:
        """A backend for the steps of ``pruner``; ``fields`` are its own. Raises UnsupportedSizesError."""
        return cls(pruner.matrices, pruner.method, pruner.optimizer, pruner.schedule, pruner.loss_of, pruner.weight_adam, **fields)

    @property
    def kernels(self) -> dispatch.KernelName:
        return "triton"

    def measure_signal(self, done: int) -> PendingNumber | None:
        found = self.optimizer.signal.read() if self.optimizer.signal.measures_after(done) else None
        if found is None:
            return None
        readback = AsyncReadback(found.reshape(1))
        return lambda: readback.read()[0][0]

    def take_warnings(self) -> list[str]:
        warnings = list(self._warnings)
        self._warnings.clear()
        return warnings

    def select(self, remaining: float, *, final: bool = False) -> list[int]:
        self._select(remaining)
        kept, faults = AsyncReadback(self._selection.kept, self._selection.state[SelectionState.FAULT]).read()
        _require_ranked(faults)
        return [int(count) for count in kept]

    def select_masks(self, remaining: float) -> None:
        self._select(remaining)
        self._sums = []
        if self._graphs is not None:
            self._graphs.begin_step()

    def forward_backward(self, batch: Batch, parts: int) -> torch.Tensor:
        if self._graphs is not None and isinstance(batch, dict):
            loss = self._graphs.forward_backward(batch, parts)
        else:
            loss = forward_backward(self.loss_of, batch, parts)
        if self.bf16 and parts > 1:  # summed in bf16 they would lose the contributions of single batches
            gradients = self._gradients()
            self._sums = self._sums or [torch.zeros_like(layer.base) for layer in self._layers]
            torch._foreach_add_(self._sums, [gradient.float() for gradient in gradients])
            torch._foreach_zero_(gradients)
        return loss

    @torch.no_grad()
    def update(self, t: int, losses: list[torch.Tensor]) -> PendingStep:
        schedule = self.schedule
        learning_rate, regularization = schedule.learning_rate(t), schedule.regularization(t)
        if self.weight_adam:
            self.weight_adam.learning_rate_share = schedule.learning_rate_share(t)
        stacked = torch.stack(losses).double()
        self._update_scores(learning_rate, regularization, stacked, self._sums or self._gradients())
        selection = self._selection
        readback = AsyncReadback(stacked, self._score_update.report, selection.kept, selection.state[SelectionState.FAULT])

        def result() -> StepResult:
            losses, report, kept, faults = readback.read()
            _require_ranked(faults)
            return StepResult(
                step=t,
                remaining=schedule.remaining(t),
                regularization=regularization,
                learning_rate=learning_rate,
                loss=sum(losses) / len(losses),
                kept=[int(count) for count in kept],
                update=_update_stats(losses, report),
            )

        return result

    @torch.no_grad()
    def _select(self, remaining: float) -> None:
        """Launch the selection: all masks and masked weights."""
        selection, counts = self._selection, self._counts.compute(remaining)
        if self.bf16:
            buffers = [layer.masked_weight_buffer(torch.bfloat16) for layer in self._layers]
            selection.select(self._scores(), counts, self._base(), bf16_weights=buffers)
        else:
            buffers = [layer.masked_weight_buffer() for layer in self._layers]
            selection.select(self._scores(), counts, self._base(), buffers)
        for layer, packed in zip(self._layers, selection.masks, strict=True):
            layer.set_packed_mask(packed)

    def _update_scores(self, learning_rate: float, regularization: float, losses: torch.Tensor, found: list[torch.Tensor]) -> None:
        """Launch the update of all scores from ``found``, dL/d(W ⊙ M) of each matrix: float32, or bf16 of one batch."""
        adam, kernels = self.optimizer, self._score_update
        adam.signal.add(adam.steps + 1, found)  # before the kernels write the scores' gradients over it
        adam.steps += 1
        step, divisor = adam.step_size(learning_rate)
        numbers = StepScalars(
            regularization=regularization,
            shift=adam.penalty_shift,
            max_grad_norm=adam.max_grad_norm,
            keep1=BETA1,
            take1=1 - BETA1,
            keep2=BETA2,
            take2=1 - BETA2,
            step=step,
            divisor=divisor,
            epsilon=EPSILON,
        )
        sent = to_device_async(numbers, torch.float64, self.device)
        gradients = self._score_gradient_buffers(found)
        kernels.gradients(found, gradients, self._base(), self._scores(), [None] * len(gradients), sent)
        extras = self._weight_update
        norm = extras.collect_gradients() if extras else None
        if extras and norm is not None and adam.clip_apart:
            kernels.clip_norm(sent, None, torch.cat([losses, norm]))  # of a norm that is not finite nothing moves
            clipping = extras.own_clipping(norm, kernels.clipping, adam.max_grad_norm)
        else:
            clipping = kernels.clip_norm(sent, norm, losses)
        kernels.adam(self._scores(), gradients, adam.first, adam.second, sent, self._counts.temperatures)
        if extras:
            extras.step(clipping, keep_gradients=self._graphs is not None)
        torch.autograd.graph.increment_version(self._scores())  # torch has not seen the writes
        self._counts.mark_masses_current()
        if self._graphs is None:  # else they stay where the graphs write to
            for layer in self._layers:
                layer.weight.grad = None

    def _score_gradient_buffers(self, found: list[torch.Tensor]) -> list[torch.Tensor]:
        """Memory for the gradients of the scores, float32: that of ``found`` where it will do."""
        if found[0].dtype == torch.float32:
            return found
        if not self._wide:
            self._wide = [torch.empty_like(layer.base) for layer in self._layers]
        return self._wide

    def _gradients(self) -> list[torch.Tensor]:
        return [weight_gradient(layer) for layer in self._layers]

    def _scores(self) -> list[torch.Tensor]:
        return [layer.scores for layer in self._layers]

    def _base(self) -> list[torch.Tensor]:
        return [layer.base for layer in self._layers]


def _update_stats(losses: list[float], report: list[float]) -> UpdateStats:
    """Statistics of an update from what the kernels reported. Raises FloatingPointError."""
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
