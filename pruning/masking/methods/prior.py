"""A Wanda prior: scores start where a saliency points instead of at zero (the idea of MaskLLM's and LEAP's priors)."""

from pruning.masking.methods.base import Calibration, Method
from pruning.masking.methods.wanda import saliencies
from pruning.masking.wrap import Matrices


class WandaPrior:
    """Another method, begun with S = strength · standardised log saliency of each matrix.

    Strength is in units of scores: 0.1 is what five steps at the default learning rate of 0.02 can undo.
    """

    def __init__(self, method: Method, strength: float) -> None:
        self.method, self.strength = method, strength
        self.penalty_shift = method.penalty_shift

    def begin(self, matrices: Matrices, calibration: Calibration) -> None:
        """Set the scores."""
        self.method.begin(matrices, calibration)
        for path, saliency in saliencies(matrices, calibration).items():
            log = saliency.clamp_min(1e-12).log()
            matrices.layers[path].scores.add_((log - log.mean()) / log.std().clamp_min(1e-12), alpha=self.strength)

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """As the method does."""
        return self.method.select(matrices, remaining, final=final)
