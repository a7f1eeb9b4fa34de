"""The update of the scores: straight-through gradient, regulariser and Adam, in closed form.

No autograd graph exists for what is known on paper. With G = dL/d(W ⊙ M) from the dense backward pass, M matrices and n
weights in a matrix:

    dL/dS = G ⊙ W + λ σ(S)(1 - σ(S)) / (n M)                (SMP eq. 3 and 6; R(S) is a mean of per-matrix means)

for kept and removed weights alike (hard concrete gates put their slope behind G ⊙ W and a shift into σ). All gradients
together are scaled to a norm of at most ``max_grad_norm``, then Adam (β 0.9, 0.999; ε 1e-8; no weight decay) moves the
scores.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from pruning.companions import Companions
from pruning.layers import MaskedLinear

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Update:
    """What one update saw, measured before it moved the scores."""

    regularizer: float
    """R(S) = mean over the matrices of mean σ(S)."""
    grad_norms: list[float]
    """L2 norm of dL/dS of each matrix, before clipping."""
    grad_norm: float
    """Of all of them together."""


class ScoreAdam:
    """Adam over the scores of ``layers``; holds the two moments of each, in the scores' dtype.

    ``penalty_shift`` is the method's: the regulariser is the mean of σ(S - shift).
    """

    def __init__(
        self,
        layers: Sequence[MaskedLinear],
        *,
        max_grad_norm: float = 1.0,
        epsilon: Literal["uncorrected", "corrected"] = "uncorrected",
        penalty_shift: float = 0.0,
    ) -> None:
        self.layers = list(layers)
        self.max_grad_norm = max_grad_norm
        self.epsilon = epsilon
        self.penalty_shift = penalty_shift
        self.steps = 0
        self.first = [torch.zeros_like(layer.scores) for layer in self.layers]
        self.second = [torch.zeros_like(layer.scores) for layer in self.layers]

    @torch.no_grad()
    def step(self, learning_rate: float, regularization: float, companions: Companions | None = None) -> Update:
        """Turn the gradients in ``weight.grad`` into one update of all scores, and drop them.

        ``regularization`` is λ_t. ``companions`` are clipped together with the scores, and updated. Raises
        FloatingPointError if the gradients are not finite; nothing has then changed.
        """
        others = companions.gather() if companions else []
        masses, norms = self._score_gradients(regularization)
        total = math.hypot(*norms, *others)
        if not math.isfinite(total):
            raise FloatingPointError("the gradients of the scores are not finite")
        clip = min(1.0, self.max_grad_norm / (total + 1e-6))
        self.steps += 1
        if companions:
            companions.step(clip)
        for layer, first, second in zip(self.layers, self.first, self.second, strict=True):
            gradient = _gradient(layer)
            if clip < 1.0:
                gradient.mul_(clip)
            first.mul_(BETA1).add_(gradient, alpha=1 - BETA1)
            second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            self._move(layer.scores, first, second, learning_rate, scratch=gradient)
            layer.weight.grad = None
        return Update(sum(masses) / max(len(masses), 1), norms, total)

    def _score_gradients(self, regularization: float) -> tuple[list[float], list[float]]:
        """Overwrite each ``weight.grad`` by dL/dS; returns mean σ(S) and the gradient's norm, matrix by matrix."""
        masses, norms = [], []
        for layer in self.layers:
            gradient = _gradient(layer).mul_(layer.base)
            if layer.gate_slope is not None:
                gradient.mul_(layer.gate_slope)
            sigma = torch.sigmoid(layer.scores - self.penalty_shift if self.penalty_shift else layer.scores)
            masses.append(float(sigma.mean()))
            if regularization:
                slope = sigma.sub_(sigma * sigma)
                gradient.add_(slope, alpha=regularization / (slope.numel() * len(self.layers)))
            norms.append(float(torch.linalg.vector_norm(gradient)))
        return masses, norms

    def _move(
        self,
        scores: torch.Tensor,
        first: torch.Tensor,
        second: torch.Tensor,
        learning_rate: float,
        scratch: torch.Tensor,
    ) -> None:
        """S <- S - lr m̂ / (sqrt(v̂) + ε). With ``uncorrected`` ε is added to sqrt(v) instead, so that it weighs
        1/sqrt(1 - β2^u) times more (31.6 times at the first update), as in transformers 4.17's AdamW."""
        correction1 = 1 - BETA1**self.steps
        correction2 = math.sqrt(1 - BETA2**self.steps)
        root = torch.sqrt(second, out=scratch)
        if self.epsilon == "uncorrected":
            scores.addcdiv_(first, root.add_(EPSILON), value=-learning_rate * correction2 / correction1)
        else:
            scores.addcdiv_(first, root.div_(correction2).add_(EPSILON), value=-learning_rate / correction1)


def _gradient(layer: MaskedLinear) -> torch.Tensor:
    if layer.weight.grad is None:  # a matrix that the loss does not reach
        layer.weight.grad = torch.zeros_like(layer.base)
    return layer.weight.grad
