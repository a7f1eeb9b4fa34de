"""A random mask: what any method has to beat."""

import torch

from pruning.attach import Matrices
from pruning.methods.base import Calibration
from pruning.methods.smp_l import SmpL


class RandomMask(SmpL):
    """floor(v n) weights of each matrix, drawn with the run's seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def begin(self, matrices: Matrices, calibration: Calibration) -> None:
        """Scores become random numbers; the mask of a smaller share is part of that of a larger one."""
        generator = torch.Generator().manual_seed(self.seed)
        for layer in matrices.layers.values():
            layer.scores.copy_(torch.rand(layer.scores.shape, generator=generator))
