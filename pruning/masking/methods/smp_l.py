"""SMP-L: every matrix keeps the same share of its own weights."""

from pruning.masking import allocation
from pruning.masking.methods.base import ScoreMethod
from pruning.masking.wrap import Matrices


class SmpL(ScoreMethod):
    """Local top-v (SMP paper, section 3.2)."""

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """floor(v n) for each matrix."""
        return allocation.uniform(matrices.sizes, remaining)
