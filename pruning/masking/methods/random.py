"""A random mask: what any method has to beat."""

import torch

from pruning.masking.methods.base import Calibration
from pruning.masking.methods.smp_l import SmpL
from pruning.masking.wrap import Matrices


class RandomMask(SmpL):
    """floor(v n) weights of each matrix, drawn with the run's seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def begin(self, matrices: Matrices, calibration: Calibration) -> None:
        """Scores become random numbers; the mask of a smaller share is part of that of a larger one."""
        generator = torch.Generator().manual_seed(self.seed)
        for layer in matrices.layers.values():
            layer.scores.copy_(torch.rand(layer.scores.shape, generator=generator))
