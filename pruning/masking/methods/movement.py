"""Movement pruning and soft movement pruning (Sanh et al., 2020): scores follow how weights move, and the weights are trained."""

import math

from pruning.masking.methods.base import Method
from pruning.masking.methods.smp import SmpL
from pruning.masking.wrap import Matrices


class Movement(SmpL):
    """Top-v of each matrix by scores with dL/dS = dL/d(W ⊙ M) ⊙ W, as SMP-L; the differences are that W is trained, too
    (:mod:`pruning.spec.methods`), and that λ is 0."""


class SoftMovement(Method):
    """M = 1[σ(S) > τ]; τ rises from 0 to its final value by the sparsity ramp, and the regulariser decides how many weights stay.

    Scores start at zero: σ = 0.5 is above every τ in use.
    """

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """``remaining`` is τ here: the share that stays is an outcome, and returned."""
        limit = -math.inf if remaining <= 0 else math.log(remaining / (1 - remaining))
        counts = []
        for layer in matrices.layers.values():
            layer.set_mask(layer.scores > limit)
            counts.append(layer.kept)
        return counts
