"""Magnitude pruning: the largest weights stay."""

from pruning.masking import allocation
from pruning.masking.methods.base import Calibration
from pruning.masking.wrap import Matrices


class Magnitude:
    """Top-v of |W| in each matrix; gradual along the sparsity ramp while W is trained (Zhu & Gupta, 2017), or at once
    and without training (``one_shot``)."""

    penalty_shift = 0.0

    def begin(self, matrices: Matrices, calibration: Calibration) -> None:
        """There are no scores."""

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """floor(v n) ones in each matrix."""
        counts = allocation.uniform(matrices.sizes, remaining)
        for layer, k in zip(matrices.layers.values(), counts, strict=True):
            layer.keep_top_k(k, layer.base.abs())
        return counts
