"""Best mask of a run (``keep: best``): a copy of the mask, and of the weights trained in addition, with the best validation metric
yet.

Only evaluations at the final sparsity count: during the ramp a mask keeps more weights. The metric is the task's first one on the
first validation split; of equal ones the later is kept, which has trained longer. The copy is packed bits, one for each weight, and
lies in the main process alone, which evaluates and delivers; it is part of every checkpoint. Called by
:mod:`pruning.training.run`, :mod:`pruning.training.resume` and :mod:`pruning.training.finalize`.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pruning.masking.wrap import Matrices
from pruning.training.extra_parameters import ExtraParameters

_PREFIX = "best."
_ABOUT = f"{_PREFIX}about"
State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Snapshot:
    """A mask as it was evaluated after a step."""

    step: int
    metrics: dict[str, float]
    """Metrics on the first validation split."""
    masks: list[torch.Tensor]
    """Packed bits (uint8) of every matrix, on the CPU."""
    values: list[torch.Tensor]
    """Values of the masked weights and extra parameters that the run trains, on the CPU."""


class BestMask:
    """The best mask among the evaluations so far."""

    def __init__(self, matrices: Matrices, extras: ExtraParameters, metric: str, *, trains_weights: bool) -> None:
        self.metric = metric
        self.found: Snapshot | None = None
        self._layers = list(matrices.layers.values())
        self._trained = [*(layer.base for layer in self._layers if trains_weights), *extras.parameters]

    def offer(self, step: int, metrics: dict[str, float]) -> bool:
        """Keep the masks as they are now if none had a better metric; whether they were kept."""
        if self.better_than(metrics) is not None:
            return False
        masks = [layer.packed_mask() for layer in self._layers]
        values = [tensor.detach().to("cpu", copy=True) for tensor in self._trained]
        self.found = Snapshot(step, dict(metrics), masks, values)
        return True

    def better_than(self, metrics: dict[str, float]) -> Snapshot | None:
        """The best mask so far if its metric is above that of ``metrics``."""
        found = self.found
        return found if found is not None and found.metrics[self.metric] > metrics[self.metric] else None

    @contextmanager
    def in_place(self, snapshot: Snapshot) -> Iterator[None]:
        """The model with the mask, weights and extra parameters of a snapshot; after the block weights and extra parameters are the
        former ones, and the masks are to be selected again."""
        last = [tensor.detach().clone() for tensor in self._trained]
        self._load(snapshot.values)
        for layer, packed in zip(self._layers, snapshot.masks, strict=True):
            layer.load_packed_mask(packed)
        try:
            yield
        finally:
            self._load(last)

    def state(self) -> State:
        """State for a checkpoint; its tensors are never written to again."""
        if self.found is None:
            return {}
        about = json.dumps({"step": self.found.step, "metrics": self.found.metrics}).encode()
        return {
            _ABOUT: torch.from_numpy(np.frombuffer(about, dtype=np.uint8).copy()),
            **{f"{_PREFIX}mask.{i}": mask for i, mask in enumerate(self.found.masks)},
            **{f"{_PREFIX}value.{i}": value for i, value in enumerate(self.found.values)},
        }

    def restore(self, state: State) -> None:
        """Restore what :meth:`state` returned."""
        if _ABOUT not in state:
            return
        about: dict[str, Any] = json.loads(state[_ABOUT].numpy().tobytes())
        masks = [state[f"{_PREFIX}mask.{i}"] for i in range(len(self._layers))]
        values = [state[f"{_PREFIX}value.{i}"] for i in range(len(self._trained))]
        self.found = Snapshot(about["step"], about["metrics"], masks, values)

    @torch.no_grad()
    def _load(self, values: list[torch.Tensor]) -> None:
        for tensor, value in zip(self._trained, values, strict=True):
            tensor.copy_(value)
