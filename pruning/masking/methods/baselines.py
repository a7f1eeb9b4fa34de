"""Magnitude pruning and the random mask: baselines that need no scores trained."""

import torch

from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.methods.base import Calibration, Method
from pruning.masking.methods.smp import SmpL
from pruning.masking.wrap import Matrices


class Magnitude(Method):
    """Top-v of |W| in each matrix; gradual along the sparsity ramp while W is trained (Zhu & Gupta, 2017), or at once
    and without training (``one_shot``)."""

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """floor(v n) ones in each matrix."""
        counts = matrices.uniform_counts(remaining)
        for layer, k in zip(matrices.layers.values(), counts, strict=True):
            layer.keep_top_k(k, self.saliency(layer))
        return counts

    def saliency(self, layer: MaskedLinear) -> torch.Tensor:
        """|W|."""
        return layer.base.abs()


class RandomMask(SmpL):
    """floor(v n) weights of each matrix, drawn with the run's seed: what any method has to beat."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def initialize(self, matrices: Matrices, calibration: Calibration) -> None:
        """Scores become random numbers; the mask of a smaller share is part of that of a larger one."""
        generator = torch.Generator().manual_seed(self.seed)
        for layer in matrices.layers.values():
            layer.scores.copy_(torch.rand(layer.scores.shape, generator=generator))
