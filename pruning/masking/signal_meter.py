"""Signal-to-noise of the scores' gradients: whether a run learns, or its scores are only a random walk.

Measured on the loss's part of the gradient, g = dL/d(W ⊙ M) ⊙ W, over windows of WINDOW consecutive updates:

    ρ = mean over scores of (Σ g)² / (WINDOW Σ g²)

Gradients that are noise alone give 1/WINDOW = 0.053 for any symmetric distribution; gradients of one
sign give 1. It is what mean m̂²/v̂ of Adam's moments would be, whose first moment averages over as many updates, but
without the regulariser: its pull has the same sign at every step, and in a network whose gradients vanish it is all that remains of
the gradient, so that Adam's own moments would show it as signal. Updated by :class:`pruning.masking.score_adam.ScoreAdam` and, on a
GPU, by :mod:`pruning.training.gpu_pruner`; read by the backends. Nothing here waits for the device.
"""

import math
from collections.abc import Sequence

import torch

from pruning.masking.masked_linear import MaskedLinear

WINDOW = 19
"""(1 + β1)/(1 - β1) updates for β1 = 0.9."""
NOISE_FLOOR = 1 / WINDOW
POINTS = 25
"""Measurements of a run, evenly spread, the last one at its end."""
_SAMPLED = 2**17
"""Sampled scores of all matrices together; every matrix has its share."""


class SignalMeter:
    """Measurements of ρ in a run of ``total_steps`` updates, at steps that depend on its length alone."""

    def __init__(self, layers: Sequence[MaskedLinear], total_steps: int) -> None:
        self._layers = list(layers)
        self._total = total_steps
        self.every = max(WINDOW + 1, math.ceil(total_steps / POINTS))
        """Updates from one measurement to the next."""
        count = sum(layer.base.numel() for layer in self._layers)
        self._stride = count // _SAMPLED | 1  # odd, so that it meets every column of a matrix
        self._sums: list[torch.Tensor] = []
        self._squares: list[torch.Tensor] = []
        self._added = 0

    def measures_after(self, step: int) -> bool:
        """Whether a window ends with update number ``step``."""
        return step > 0 and (self._total - step) % self.every == 0

    @torch.no_grad()
    def add(self, step: int, gradients: Sequence[torch.Tensor]) -> None:
        """Take in dL/d(W ⊙ M) of each matrix, of update number ``step``, if it is of a window."""
        if not self._layers or (self._total - step) % self.every >= WINDOW:
            return
        every = self._stride
        sampled = [gradient.reshape(-1)[::every].float() for gradient in gradients]
        found = torch._foreach_mul(sampled, [layer.base.reshape(-1)[::every] for layer in self._layers])
        for part, layer in zip(found, self._layers, strict=True):
            if layer.gate_slope is not None:
                part.mul_(layer.gate_slope.reshape(-1)[::every])
        if (self._total - step) % self.every == WINDOW - 1 or not self._sums:
            self._sums, self._squares = ([torch.zeros_like(part) for part in found] for _ in range(2))
            self._added = 0
        torch._foreach_add_(self._sums, found)
        torch._foreach_addcmul_(self._squares, found, found)
        self._added += 1

    @torch.no_grad()
    def read(self) -> torch.Tensor | None:
        """ρ of the window that has just ended, a scalar on the device; None where it is incomplete, as after a resumption."""
        if self._added != WINDOW:
            return None
        sums, squares = torch.cat(self._sums), torch.cat(self._squares)
        reached = squares > 0  # scores without a gradient are left out
        ratios = torch.where(reached, sums * sums / squares, 0.0)
        return ratios.sum(dtype=torch.float64) / (WINDOW * reached.sum().clamp(min=1))
