"""L0 regularisation by hard concrete gates (Louizos et al., 2018): differentiable gates in place of a ranking of scores."""

import math

import torch

from pruning.masking.methods.base import Calibration, Method
from pruning.masking.wrap import Matrices

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1
INITIAL_SCORE = 2.197
"""σ = 0.9: nearly every gate is open at first, as in the movement pruning scripts."""


class HardConcrete(Method):
    """z = clip(σ((log u - log(1-u) + S)/β)(ζ-γ) + γ, 0, 1) in training, clip(σ(S)(ζ-γ) + γ, 0, 1) in the end."""

    penalty_shift = BETA * math.log(-GAMMA / ZETA)  # P(z > 0) = σ(S - β log(-γ/ζ)), whose mean is the penalty

    def initialize(self, matrices: Matrices, calibration: Calibration) -> None:
        """Gates start open."""
        for layer in matrices.layers.values():
            layer.scores.fill_(INITIAL_SCORE)

    def select(self, matrices: Matrices, remaining: float, *, final: bool = False) -> list[int]:
        """Sample the gates, or close those whose expected value is 0; ``remaining`` is ignored: λ decides the sparsity."""
        counts = []
        for layer in matrices.layers.values():
            if final:
                layer.set_gates((torch.sigmoid(layer.scores) * (ZETA - GAMMA) + GAMMA).clamp(0, 1), None)
            else:
                layer.set_gates(*sample(layer.scores))
            counts.append(layer.kept)
        return counts


def sample(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gates for scores S, and dz/dS = (ζ-γ) s(1-s)/β where a gate is neither shut nor fully open, 0 elsewhere."""
    noise = torch.rand_like(scores).clamp_(1e-4, 1 - 1e-4)
    s = torch.sigmoid((noise.log() - (-noise).log1p() + scores) / BETA)
    stretched = s * (ZETA - GAMMA) + GAMMA
    slope = (ZETA - GAMMA) / BETA * s * (1 - s)
    return stretched.clamp(0, 1), slope.masked_fill_((stretched <= 0) | (stretched >= 1), 0.0)
