"""SMP-S: within each group of matrices, those with more score mass keep more."""

from pruning.masking import allocation
from pruning.masking.methods.base import ScoreMethod
from pruning.masking.wrap import Matrices


class SmpS(ScoreMethod):
    """Top-v with shares by mean σ(S/p) (SMP paper, eq. 4; p is the reference code's)."""

    def __init__(self, *, temperature: float = 1.0, surplus: allocation.Surplus = "redistribute") -> None:
        self.temperature = temperature
        self.surplus = surplus

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """Counts per matrix; under ``redistribute`` each group keeps floor(v Σn) ones."""
        counts: dict[str, int] = {}
        for paths in matrices.groups.values():
            layers = [matrices.layers[path] for path in paths]
            masses = [layer.mass(self.temperature) for layer in layers]
            sizes = [layer.base.numel() for layer in layers]
            counts |= zip(paths, allocation.by_mass(sizes, masses, remaining, self.surplus), strict=True)
        return [counts[path] for path in matrices.layers]
