"""SMP-L: every matrix keeps the same share of its own weights."""

from pruning import allocate
from pruning.attach import Matrices
from pruning.methods.base import ScoreMethod


class SmpL(ScoreMethod):
    """Local top-v (SMP paper, section 3.2)."""

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """floor(v n) for each matrix."""
        return allocate.uniform(matrices.sizes, remaining)
