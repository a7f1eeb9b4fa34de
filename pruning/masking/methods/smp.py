"""Static Model Pruning (arXiv 2210.06210): SMP-L, SMP-S and SMP-G keep the largest scores, and differ in how many per matrix."""

import math
from collections.abc import Sequence

from pruning.masking import allocation
from pruning.masking.masked_linear import keep_top_k_each, keep_top_k_overall
from pruning.masking.methods.base import LocalTopK, MassShares, Method, Ranking
from pruning.masking.topk_state import ThresholdState
from pruning.masking.wrap import Matrices


class SmpL(LocalTopK):
    """Local top-v (SMP paper, section 3.2): every matrix keeps the same share of its own weights."""

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """floor(v n) for each matrix."""
        return matrices.uniform_counts(remaining)


class SmpS(LocalTopK):
    """Top-v with shares by mean σ(S/p) (SMP paper, eq. 4; p is the reference code's): within each group of matrices, those with
    more score mass keep more."""

    def __init__(self, *, temperature: float = 1.0, surplus: allocation.Surplus = "redistribute") -> None:
        self.temperature = temperature
        self.surplus = surplus

    @property
    def ranking(self) -> Ranking:
        """Ranking by the scores themselves, within each matrix; counts by mass."""
        return Ranking("matrix", self.keep_counts, MassShares(self.temperature, self.surplus))

    def keep_counts(self, matrices: Matrices, remaining: float) -> list[int]:
        """Counts per matrix; under ``redistribute`` each group keeps floor(v Σn) ones.

        Where matrices have a sparsity of their own, the others of each group keep their part, by size, of what these leave.
        """
        counts: dict[str, int] = {}
        if matrices.own is not None:
            counts, budgets = matrices.own.group_budgets(matrices.shapes, matrices.groups, remaining)
            for paths, budget in zip(matrices.own.other_groups(matrices.groups), budgets, strict=True):
                counts |= zip(paths, allocation.by_mass_within(*self._group(matrices, paths), budget), strict=True)
            return [counts[path] for path in matrices.layers]
        for paths in matrices.groups.values():
            sizes, masses = self._group(matrices, paths)
            counts |= zip(paths, allocation.by_mass(sizes, masses, remaining, self.surplus), strict=True)
        return [counts[path] for path in matrices.layers]

    def _group(self, matrices: Matrices, paths: Sequence[str]) -> tuple[list[int], list[float]]:
        """Weights and mean σ(S/p) of each."""
        layers = [matrices.layers[path] for path in paths]
        return [layer.base.numel() for layer in layers], [layer.mass(self.temperature) for layer in layers]


class SmpG(Method):
    """Global top-v (the "G" row of the SMP paper's ablation): one ranking over all matrices, which may end up nearly empty."""

    def __init__(self) -> None:
        self._threshold = ThresholdState()

    @property
    def ranking(self) -> Ranking:
        """Ranking by the scores themselves, over all matrices together."""
        return Ranking("model", lambda matrices, remaining: [self._count(matrices, remaining)])

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """floor(v N) ones over all N weights; of equal scores those of the earlier matrix stay.

        Matrices with a sparsity of their own are ranked separately, and the others for the remaining ones.
        """
        layers = list(matrices.layers.values())
        if matrices.own is None:
            keep_top_k_overall(layers, self._threshold, self._count(matrices, remaining))
            return [layer.kept for layer in layers]
        named, left = matrices.own.split(matrices.shapes, remaining, "model")
        keep_top_k_each([matrices.layers[path] for path in named], [*named.values()])
        others = [layer for path, layer in matrices.layers.items() if path not in named]
        if others:
            keep_top_k_overall(others, self._threshold, left)
        return [layer.kept for layer in layers]

    def _count(self, matrices: Matrices, remaining: float) -> int:
        return math.floor(remaining * matrices.total)
