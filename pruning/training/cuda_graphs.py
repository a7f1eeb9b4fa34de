"""CUDA graph cache: forward and backward passes captured per batch shape, replayed by one launch instead of over a thousand.

A graph is captured for each shape of a batch, so for each length that batches are padded to, when that shape comes for the
second time; the first time warms libraries up. A graph reads its batch from memory of its own, adds gradients to
``weight.grad`` and leaves the loss where :class:`CudaGraphCache` finds it. All graphs share one pool of memory for what lives
no longer than a pass. Python is not run again when a graph is replayed, so nothing in a pass may depend on a number from the
device; what PyTorch draws for dropout follows its generator as usual, so a replayed pass equals the captured one.

Called by :mod:`pruning.training.gpu_pruner`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from pruning.training.step import forward_backward

MAX_GRAPHS = 256
"""Graphs kept. Inputs of up to 512 tokens have 64 lengths; a run in which many more shapes return gains little by each."""
Batch = dict[str, torch.Tensor]
Key = tuple[object, ...]
Capture = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes work and returns a function that replays it on the device. Capturing alone changes nothing on the device. Raises
RuntimeError where the work cannot be captured."""


@dataclass
class _CapturedPass:
    inputs: Batch
    loss: torch.Tensor
    replay: Callable[[], None] = field(default=lambda: None)


class CudaGraphCache:
    """``loss_of`` and its backward pass, captured and replayed.

    ``weights`` are all that get a gradient: from :meth:`begin_step` on each has one of its own that stays where it is.
    ``warn`` is called, once, with the reason why capturing has stopped.
    """

    def __init__(
        self,
        loss_of: Callable[[Batch], torch.Tensor],
        weights: Sequence[torch.Tensor],
        capture: Capture,
        warn: Callable[[str], None],
    ) -> None:
        self._loss_of, self._weights, self._warn = loss_of, weights, warn
        self._capture: Capture | None = capture
        self._addresses: list[int] = []
        self._seen: set[Key] = set()
        self._passes: dict[Key, _CapturedPass] = {}

    def __len__(self) -> int:
        """Graphs in the cache."""
        return len(self._passes)

    def begin_step(self) -> None:
        """Before the passes of a step: gradients of zero, and no graph that reads where weights no longer are."""
        for weight in self._weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight, memory_format=torch.contiguous_format)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        torch._foreach_zero_(gradients)
        addresses = [tensor.data_ptr() for tensor in (*self._weights, *gradients)]
        if addresses != self._addresses:
            self._addresses = addresses
            self._passes.clear()

    def forward_backward(self, batch: Batch, parts: int) -> torch.Tensor:
        """Add the gradients of a ``parts``-th of the loss of ``batch`` to ``weight.grad``; returns the loss, a scalar."""
        key = (parts, *((name, tensor.shape, tensor.dtype) for name, tensor in batch.items()))
        captured = self._passes.get(key)
        if captured is None and key in self._seen:
            captured = self._captured(key, batch, parts)
        self._seen.add(key)
        if captured is None:
            return forward_backward(self._loss_of, batch, parts)
        for name, tensor in batch.items():
            captured.inputs[name].copy_(tensor)
        captured.replay()
        return captured.loss.clone()  # the next pass of this shape writes there

    def _captured(self, key: Key, batch: Batch, parts: int) -> _CapturedPass | None:
        if self._capture is None or len(self._passes) >= MAX_GRAPHS:
            return None
        captured = _CapturedPass(
            {name: tensor.clone() for name, tensor in batch.items()}, torch.zeros((), device=next(iter(batch.values())).device)
        )

        def work() -> None:
            captured.loss.copy_(forward_backward(self._loss_of, captured.inputs, parts))

        try:
            captured.replay = self._capture(work)
        except RuntimeError as fault:  # a model that reads a number from the device, or not enough memory
            self._capture = None
            self._warn(f"forward and backward are launched piece by piece, which takes longer: {_line(fault)}")
            return None
        self._passes[key] = captured
        return captured


def cuda_graph_capture(device: torch.device) -> Capture:
    """Captures CUDA graphs on an NVIDIA GPU."""
    pool = torch.cuda.graph_pool_handle()

    def capture(work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # a checkpoint may be being written in another thread, whose calls do not belong to this capture
        with torch.cuda.device(device), torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            work()
        return graph.replay

    return capture


def _line(fault: RuntimeError) -> str:
    return " ".join(str(fault).split())[:300] or type(fault).__name__
