"""CUDA graphs on the CPU: records the operators of a function and replays them on the same memory, without its Python."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class SynchronizationError(RuntimeError):
    """The work asked the device for a number, which a GPU refuses while it records."""


class GraphRecording(TorchDispatchMode):
    """Writes down operators while they run."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        if _synchronizes(func, args):
            raise SynchronizationError(f"{func} needs a number from the device")
        found = func(*args, **(kwargs or {}))
        self.operators.append((func, args, kwargs or {}, found))
        return found

    def replay(self) -> None:
        """Every operator again, its results where they were the first time."""
        with torch.no_grad():
            for func, args, kwargs, found in self.operators:
                if func.is_view:
                    continue
                again = func(*args, **kwargs)
                for old, new in zip(tensors(found), tensors(again), strict=True):
                    if old.data_ptr() != new.data_ptr():
                        old.copy_(new)


def _synchronizes(func: Any, args: tuple[Any, ...]) -> bool:
    if func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default):
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    return torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags


def tensors(tree: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))


class GraphRecorder:
    """:data:`pruning.training.cuda_graphs.Capture` by tapes. ``kept`` are tensors that recording must leave as they are."""

    def __init__(self, kept: Callable[[], list[torch.Tensor]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.recordings = 0
        self._kept, self._monkeypatch = kept, monkeypatch

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        kept = [(tensor, tensor.clone()) for tensor in self._kept()]
        with torch.random.fork_rng(), self._monkeypatch.context() as context, GraphRecording() as tape:
            context.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)  # transformers looks there
            work()
        for tensor, before in kept:
            tensor.copy_(before)
        self.recordings += 1
        return tape.replay
