"""Static Model Pruning (arXiv 2210.06210): SMP-L, SMP-S and SMP-G keep the largest scores, and differ in how many per matrix."""

import math

from pruning.masking import allocation
from pruning.masking.masked_linear import keep_top_k_overall
from pruning.masking.methods.base import LocalTopK, MassShares, Method, Ranking
from pruning.masking.topk_state import ThresholdState
from pruning.masking.wrap import Matrices


class SmpL(LocalTopK):
    """Local top-v (SMP paper, section 3.2): every matrix keeps the same share of its own weights."""

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """floor(v n) for each matrix."""
        return allocation.uniform(matrices.sizes, remaining)


class SmpS(LocalTopK):
    """Top-v with shares by mean σ(S/p) (SMP paper, eq. 4; p is the reference code's): within each group of matrices, those with
    more score mass keep more."""

    def __init__(self, *, temperature: float = 1.0, surplus: allocation.Surplus = "redistribute") -> None:
        self.temperature = temperature
        self.surplus = surplus

    @property
    def ranking(self) -> Ranking:
        """By the scores as they are, in each matrix by itself; counts by mass."""
        return Ranking("matrix", self.keep_counts, MassShares(self.temperature, self.surplus))

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """Counts per matrix; under ``redistribute`` each group keeps floor(v Σn) ones."""
        counts: dict[str, int] = {}
        for paths in matrices.groups.values():
            layers = [matrices.layers[path] for path in paths]
            masses = [layer.mass(self.temperature) for layer in layers]
            sizes = [layer.base.numel() for layer in layers]
            counts |= zip(paths, allocation.by_mass(sizes, masses, remaining, self.surplus), strict=True)
        return [counts[path] for path in matrices.layers]


class SmpG(Method):
    """Global top-v (the "G" row of the SMP paper's ablation): one ranking over all matrices, which may end up nearly empty."""

    def __init__(self) -> None:
        self._threshold = ThresholdState()

    @property
    def ranking(self) -> Ranking:
        """By the scores as they are, all matrices together."""
        return Ranking("model", lambda matrices, remaining: [self._count(matrices, remaining)])

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """floor(v N) ones over all N weights; of equal scores those of the earlier matrix stay."""
        layers = list(matrices.layers.values())
        keep_top_k_overall(layers, self._threshold, self._count(matrices, remaining))
        return [layer.kept for layer in layers]

    def _count(self, matrices: Matrices, remaining: float) -> int:
        return math.floor(remaining * matrices.total)
