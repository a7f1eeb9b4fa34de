"""Adam over the scores: straight-through gradient, regulariser and update in closed form.

No autograd graph is needed for what is known analytically. With G = dL/d(W ⊙ M) from the dense backward pass, M matrices and n
weights in a matrix:

    dL/dS = G ⊙ W + λ σ(S)(1 - σ(S)) / (n M)                (SMP eq. 3 and 6; R(S) is a mean of per-matrix means)

for kept and removed weights alike (hard concrete gates multiply G ⊙ W by their slope and shift σ). All gradients together are
scaled to a norm of at most ``max_grad_norm``, then Adam (β 0.9, 0.999; ε 1e-8; no weight decay) moves the scores. Called once
per step by :mod:`pruning.training.pruner`; a GPU has the same update in :mod:`pruning.masking.kernels.triton.adam`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from pruning.masking.kernels import dispatch
from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.signal_meter import SignalMeter
from pruning.masking.weight_adam import WeightAdam

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class UpdateStats:
    """Measurements of one update, from before it moved the scores."""

    regularizer: float
    """R(S) = mean over the matrices of mean σ(S)."""
    grad_norms: list[float]
    """L2 norm of dL/dS of each matrix, before clipping."""
    grad_norm: float
    """L2 norm of all gradients that are clipped together with those of the scores."""


class ScoreAdam:
    """Adam over the scores of ``layers``; holds the two moments of each, in the scores' dtype.

    ``penalty_shift`` is the method's: the regulariser is the mean of σ(S - shift). ``total_steps`` of the run decide at which of
    them ``signal`` is measured. ``clip_apart``: ``max_grad_norm`` bounds the gradients of all that is trained in addition on their
    own, not together with those of the scores.
    """

    def __init__(
        self,
        layers: Sequence[MaskedLinear],
        *,
        max_grad_norm: float = 1.0,
        clip_apart: bool = False,
        epsilon: Literal["uncorrected", "corrected"] = "uncorrected",
        penalty_shift: float = 0.0,
        total_steps: int = 0,
    ) -> None:
        self.layers = list(layers)
        self.max_grad_norm = max_grad_norm
        self.clip_apart = clip_apart
        self.epsilon = epsilon
        self.penalty_shift = penalty_shift
        self.steps = 0
        self.signal = SignalMeter(self.layers, total_steps)
        self.first = [torch.zeros_like(layer.scores) for layer in self.layers]
        self.second = [torch.zeros_like(layer.scores) for layer in self.layers]

    @torch.no_grad()
    def step(self, learning_rate: float, regularization: float, weight_adam: WeightAdam | None = None) -> UpdateStats:
        """Turn the gradients in ``weight.grad`` into one update of all scores, and free them.

        ``regularization`` is λ_t. What ``weight_adam`` trains is clipped, too, and updated. Raises
        FloatingPointError if the gradients are not finite; nothing has then changed.
        """
        others = weight_adam.collect_gradients() if weight_adam else []
        self.signal.add(self.steps + 1, [weight_gradient(layer) for layer in self.layers])
        masses, norms = self._score_gradients(regularization)
        total = math.hypot(*norms) if self.clip_apart else math.hypot(*norms, *others)
        others_total = math.hypot(*others) if self.clip_apart else total
        if not math.isfinite(total + others_total):
            raise FloatingPointError("the gradients of the scores are not finite")
        self.steps += 1
        if weight_adam:
            weight_adam.step(self._clip(others_total))
        self._move(learning_rate, self._clip(total))
        for layer in self.layers:
            layer.weight.grad = None
        return UpdateStats(sum(masses) / max(len(masses), 1), norms, total)

    def _clip(self, norm: float) -> float:
        """Factor that brings gradients of this norm down to the bound."""
        return min(1.0, self.max_grad_norm / (norm + 1e-6))

    def step_size(self, learning_rate: float) -> tuple[float, float]:
        """(a, b) such that update number ``steps`` moves S by a m / (sqrt(v) / b + ε). With ``uncorrected`` ε is added to
        sqrt(v) and not to sqrt(v̂), so that it weighs 1/sqrt(1 - β2^u) times more (31.6 times at the first update), as in
        transformers 4.17's AdamW."""
        correction1, correction2 = 1 - BETA1**self.steps, math.sqrt(1 - BETA2**self.steps)
        if self.epsilon == "uncorrected":
            return -learning_rate * correction2 / correction1, 1.0
        return -learning_rate / correction1, correction2

    def _score_gradients(self, regularization: float) -> tuple[list[float], list[float]]:
        """Overwrite each ``weight.grad`` by dL/dS; returns mean σ(S) and the gradient's norm, matrix by matrix."""
        gradients = [weight_gradient(layer) for layer in self.layers]
        base, scores = [layer.base for layer in self.layers], [layer.scores for layer in self.layers]
        slopes = [layer.gate_slope for layer in self.layers]
        pulls = [regularization / (layer.base.numel() * len(self.layers)) for layer in self.layers]
        if kernels := dispatch.cpu_kernels_for(gradients, base, scores, slopes):
            return kernels.gradients(gradients, base, scores, slopes, self.penalty_shift, pulls)
        found = [_plain_gradient(*given, self.penalty_shift) for given in zip(gradients, base, scores, slopes, pulls, strict=True)]
        return [mass for mass, _ in found], [norm for _, norm in found]

    def _move(self, learning_rate: float, clip: float) -> None:
        """S <- S - lr m̂ / (sqrt(v̂) + ε)."""
        step, divisor = self.step_size(learning_rate)
        scores, gradients = [layer.scores for layer in self.layers], [weight_gradient(layer) for layer in self.layers]
        if kernels := dispatch.cpu_kernels_for(scores, gradients, self.first, self.second):
            temperatures = [layer.mass_temperature for layer in self.layers]
            constants = (clip, BETA1, 1 - BETA1, BETA2, 1 - BETA2, step, divisor, EPSILON)
            masses = kernels.adam(scores, gradients, self.first, self.second, constants, temperatures)
            for layer, mass, temperature in zip(self.layers, masses, temperatures, strict=True):
                layer.scores_updated(mass, temperature)
            return
        for given in zip(scores, gradients, self.first, self.second, strict=True):
            _plain_adam(*given, clip, step, divisor)


def _plain_gradient(
    gradient: torch.Tensor, base: torch.Tensor, scores: torch.Tensor, slope: torch.Tensor | None, pull: float, shift: float
) -> tuple[float, float]:
    """Plain twin of the gradient kernel for one matrix; sums in the scores' dtype."""
    gradient.mul_(base)
    if slope is not None:
        gradient.mul_(slope)
    sigma = torch.sigmoid(scores - shift if shift else scores)
    mass = float(sigma.mean())
    if pull:
        gradient.add_(sigma.sub_(sigma * sigma), alpha=pull)
    return mass, float(torch.linalg.vector_norm(gradient))


def _plain_adam(
    scores: torch.Tensor,
    gradient: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    clip: float,
    step: float,
    divisor: float,
) -> None:
    """Plain twin of the Adam kernel for one matrix; ``gradient`` is overwritten."""
    if clip < 1.0:
        gradient.mul_(clip)
    first.mul_(BETA1).add_(gradient, alpha=1 - BETA1)
    second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    root = torch.sqrt(second, out=gradient)
    if divisor != 1.0:
        root.div_(divisor)
    scores.addcdiv_(first, root.add_(EPSILON), value=step)


def weight_gradient(layer: MaskedLinear) -> torch.Tensor:
    """``weight.grad`` after a backward pass, contiguous; zeros where the loss does not depend on the matrix."""
    if layer.weight.grad is None:  # the loss does not depend on the matrix
        layer.weight.grad = torch.zeros_like(layer.weight)
    elif not layer.weight.grad.is_contiguous():
        layer.weight.grad = layer.weight.grad.contiguous()
    return layer.weight.grad
