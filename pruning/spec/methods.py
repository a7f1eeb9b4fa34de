"""Catalogue of the pruning methods: what each one trains, whether its sparsity is set or emerges, and its default settings.

The spec takes its defaults from here, the API lists it; the arithmetic is in :mod:`pruning.masking.methods`. Learning rates and λ
of the SMP methods are the SMP paper's, those of the others the ones of their own reference scripts (movement pruning,
arXiv 2005.07683; L0, arXiv 1712.01312). Torch-free.
"""

from dataclasses import dataclass
from typing import Literal

Method = Literal["smp-s", "smp-l", "smp-g", "movement", "soft-movement", "magnitude", "l0", "wanda", "random"]
Trains = Literal["scores", "weights", "scores and weights", "nothing"]


@dataclass(frozen=True)
class MethodInfo:
    """One row of the catalogue."""

    name: Method
    summary: str
    trains: Trains
    """Weights that are trained are stored in addition to the mask."""
    learning_rate: float
    """Of the scores; unused where there are none."""
    regularization: float
    """λ."""
    sparsity: Literal["asked", "emerges"] = "asked"
    """``emerges``: the share that remains follows from λ and the threshold, and is reported."""
    two_four: bool = True
    """Whether pattern 2:4 is possible."""

    @property
    def trains_scores(self) -> bool:
        """Whether scores move during the run."""
        return self.trains in ("scores", "scores and weights")

    @property
    def trains_weights(self) -> bool:
        """Whether the masked weights themselves move; they are then part of the result."""
        return self.trains in ("weights", "scores and weights")


# fmt: off
METHODS: dict[str, MethodInfo] = {
    info.name: info
    for info in (
        MethodInfo("smp-s", "SMP, shares of matrices by score mass (eq. 4)", "scores", 2e-2, 400.0),
        MethodInfo("smp-l", "SMP, the same share of every matrix", "scores", 2e-2, 400.0),
        MethodInfo("smp-g", "SMP, one ranking over all matrices", "scores", 2e-2, 400.0),
        MethodInfo("movement", "Movement pruning: scores and weights trained, top-v of each matrix",
                   "scores and weights", 1e-2, 0.0),
        MethodInfo("soft-movement", "Soft movement pruning: scores above a threshold stay, weights trained",
                   "scores and weights", 1e-2, 400.0, sparsity="emerges", two_four=False),
        MethodInfo("magnitude", "Magnitude pruning: the largest weights stay; gradual (Zhu & Gupta) or one_shot",
                   "weights", 0.0, 0.0),
        MethodInfo("l0", "L0 regularisation by hard concrete gates, weights trained",
                   "scores and weights", 1e-1, 125.0, sparsity="emerges", two_four=False),
        MethodInfo("wanda", "Wanda: |W| times input norm, best of each row, from a few rows, without training",
                   "nothing", 0.0, 0.0),
        MethodInfo("random", "A random mask without training: the floor under every other method", "nothing", 0.0, 0.0),
    )
}
# fmt: on
