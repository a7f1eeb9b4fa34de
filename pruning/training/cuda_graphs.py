"""Forward and backward passes that a GPU repeats from a recording: one launch in the place of more than a thousand.

A recording (a CUDA graph) is made for each shape of a batch, so for each length that batches are padded to, when that shape
comes for the second time; the first time warms libraries up. It reads its batch from memory of its own, adds gradients to
``weight.grad`` and leaves the loss where :class:`CudaGraphCache` finds it. All recordings share one pool of memory for what lives
no longer than a pass. Python is not run again when a recording is repeated, so nothing in a pass may depend on a number from
the device; what PyTorch draws for dropout follows its generator as always, so a repeated pass is the pass it stands for.

Called by :mod:`pruning.training.gpu_pruner`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

MAX_GRAPHS = 256
"""Recordings kept. Inputs of up to 512 tokens have 64 lengths; a run in which many more shapes return gains little by each."""
Batch = dict[str, torch.Tensor]
Key = tuple[object, ...]
Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes work and returns what repeats it on the device. Recording alone changes nothing on the device. Raises RuntimeError where
the work cannot be recorded."""


@dataclass
class _CapturedPass:
    inputs: Batch
    loss: torch.Tensor
    replay: Callable[[], None] = field(default=lambda: None)


class CudaGraphCache:
    """``loss_of`` and its backward pass, recorded and repeated.

    ``weights`` are all that get a gradient: from :meth:`begin` on each has one of its own that stays where it is. ``remark``
    is told, once, why nothing is recorded any more.
    """

    def __init__(
        self,
        loss_of: Callable[[Batch], torch.Tensor],
        weights: Sequence[torch.Tensor],
        capture: Capture,
        warn: Callable[[str], None],
    ) -> None:
        self._loss_of, self._weights, self._remark = loss_of, weights, warn
        self._record: Capture | None = capture
        self._places: list[int] = []
        self._seen: set[Key] = set()
        self._recordings: dict[Key, _CapturedPass] = {}

    def __len__(self) -> int:
        """Recordings there are."""
        return len(self._recordings)

    def begin_step(self) -> None:
        """Before the passes of a step: gradients of zero, and no recording that reads where weights no longer are."""
        for weight in self._weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        torch._foreach_zero_(gradients)
        places = [tensor.data_ptr() for tensor in (*self._weights, *gradients)]
        if places != self._places:
            self._places = places
            self._recordings.clear()

    def forward_backward(self, batch: Batch, parts: int) -> torch.Tensor:
        """Add the gradients of a ``parts``-th of the loss of ``batch`` to ``weight.grad``; returns the loss, a scalar."""
        key = (parts, *((name, tensor.shape, tensor.dtype) for name, tensor in batch.items()))
        recording = self._recordings.get(key)
        if recording is None and key in self._seen:
            recording = self._recorded(key, batch, parts)
        self._seen.add(key)
        if recording is None:
            return forward_backward(self._loss_of, batch, parts)
        for name, tensor in batch.items():
            recording.inputs[name].copy_(tensor)
        recording.replay()
        return recording.loss.clone()  # the next pass of this shape writes there

    def _recorded(self, key: Key, batch: Batch, parts: int) -> _CapturedPass | None:
        if self._record is None or len(self._recordings) >= MAX_GRAPHS:
            return None
        made = _CapturedPass(
            {name: tensor.clone() for name, tensor in batch.items()},
            torch.zeros((), device=next(iter(batch.values())).device),
        )

        def work() -> None:
            made.loss.copy_(forward_backward(self._loss_of, made.inputs, parts))

        try:
            made.replay = self._record(work)
        except RuntimeError as fault:  # of a model that asks the device for a number, or of memory that is not there
            self._record = None
            self._remark(f"forward and backward are launched piece by piece, which takes longer: {_line(fault)}")
            return None
        self._recordings[key] = made
        return made


def forward_backward(loss_of: Callable[[Any], torch.Tensor], batch: Any, parts: int) -> torch.Tensor:
    """Forward and backward: what :meth:`CudaGraphCache.forward_backward` does, launched piece by piece."""
    loss = loss_of(batch)
    torch.autograd.backward(loss / parts)
    return loss.detach()


def cuda_graph_capture(device: torch.device) -> Capture:
    """Records on an NVIDIA GPU."""
    pool = torch.cuda.graph_pool_handle()

    def record(work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # a checkpoint may be on its way to the disk in another thread, whose calls are none of this recording's business
        with torch.cuda.device(device), torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            work()
        return graph.replay

    return record


def _line(fault: RuntimeError) -> str:
    return " ".join(str(fault).split())[:300] or type(fault).__name__
