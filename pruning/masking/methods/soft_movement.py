"""Soft movement pruning: a weight stays while its score is above a threshold; the regulariser decides how many do."""

import math

from pruning.masking.methods.base import Calibration
from pruning.masking.wrap import Matrices


class SoftMovement:
    """M = 1[σ(S) > τ] (Sanh et al., 2020); τ rises from 0 to its final value by the sparsity ramp."""

    penalty_shift = 0.0

    def begin(self, matrices: Matrices, calibration: Calibration) -> None:
        """Scores start at zero: σ = 0.5 is above every τ in use."""

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """``remaining`` is τ here: the share that stays is an outcome, and returned."""
        limit = -math.inf if remaining <= 0 else math.log(remaining / (1 - remaining))
        counts = []
        for layer in matrices.layers.values():
            layer.set_mask(layer.scores > limit)
            counts.append(layer.kept)
        return counts
