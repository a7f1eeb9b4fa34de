"""SMP-G: one ranking over the scores of all matrices."""

import math

from pruning.masking.masked_linear import keep_top_k_overall
from pruning.masking.methods.base import Calibration
from pruning.masking.topk import TopK
from pruning.masking.wrap import Matrices


class SmpG:
    """Global top-v (the "G" row of the SMP paper's ablation); matrices may end up nearly empty."""

    penalty_shift = 0.0

    def __init__(self) -> None:
        self._top_k = TopK()

    def begin(self, matrices: Matrices, calibration: Calibration) -> None:
        """Scores start at zero, as they are."""

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """floor(v N) ones over all N weights; of equal scores those of the earlier matrix stay."""
        layers = list(matrices.layers.values())
        keep_top_k_overall(layers, self._top_k, math.floor(remaining * matrices.total))
        return [layer.kept for layer in layers]
