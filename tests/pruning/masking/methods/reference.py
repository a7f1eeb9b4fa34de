"""Reference of the methods: a two-layer network, trained by plain autograd as the methods' papers say.

Nothing here uses the package. Masks enter by the straight-through estimator, gates by their own derivative; gradients of
everything that is trained are clipped together by ``torch.nn.utils``; Adam over the scores is written out.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

SHAPES = ((6, 8), (3, 6))
STEPS = 12
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
Gates = Callable[[Sequence[Tensor], Sequence[Tensor]], list[Tensor]]
"""From scores and weights to what the weights are multiplied by."""


def draw(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    """Normal numbers in double precision, where no two are equal."""
    return scale * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def inputs() -> tuple[Tensor, Tensor]:
    """Rows [16, 8] and targets [16, 3]."""
    return draw(16, 8, seed=11), draw(16, 3, seed=12)


def network(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """Two linears with a tanh between."""
    return nn.functional.linear(torch.tanh(nn.functional.linear(x, weights[0], biases[0])), weights[1], biases[1])


def start() -> tuple[list[Tensor], list[Tensor]]:
    """Weights and biases to begin with."""
    weights = [draw(*shape, seed=i, scale=0.5) for i, shape in enumerate(SHAPES)]
    return weights, [draw(shape[0], seed=5 + i, scale=0.1) for i, shape in enumerate(SHAPES)]


@dataclass
class Reference:
    """A run of STEPS steps; ``gates`` says what is kept, ``penalty`` is weighted by ``regularization`` times its ramp."""

    gates: Gates
    penalty: Callable[[Tensor], Tensor]
    learning_rate: float
    weight_learning_rate: float
    regularization: float
    trains_scores: bool = True
    trains_weights: bool = True
    trains_biases: bool = False
    initial_score: float = 0.0
    loss_scale: float = 1.0
    max_grad_norm: float = 1.0
    clipped: int = 0
    """Steps in which the norm was above the limit."""
    _moments: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        weights, biases = start()
        self.weights = [weight.requires_grad_(self.trains_weights) for weight in weights]
        self.biases = [bias.requires_grad_(self.trains_biases) for bias in biases]
        self.scores = [torch.full_like(weight, self.initial_score).requires_grad_(self.trains_scores) for weight in weights]
        self._moments = [(torch.zeros_like(score), torch.zeros_like(score)) for score in self.scores]
        moving = [tensor for tensor in (*self.weights, *self.biases) if tensor.requires_grad]
        self._adamw = torch.optim.AdamW(moving, lr=0.0, weight_decay=0.0) if moving else None

    def step(self, t: int) -> list[Tensor]:
        """Step ``t``; returns its gates."""
        fall = (STEPS - t) / STEPS
        ramp = 1 - (1 - t / STEPS) ** 3
        gates = self.gates(self.scores, self.weights)
        x, y = inputs()
        masked = [weight * gate for weight, gate in zip(self.weights, gates, strict=True)]
        loss = self.loss_scale * (network(x, masked, self.biases) - y).square().mean()
        penalty = torch.stack([self.penalty(score).mean() for score in self.scores]).mean()
        (loss + self.regularization * ramp * penalty).backward()
        everything = [p for p in (*self.scores, *self.weights, *self.biases) if p.grad is not None]
        norm = nn.utils.clip_grad_norm_(everything, self.max_grad_norm)
        self.clipped += int(norm > self.max_grad_norm)
        if self._adamw is not None:
            self._adamw.param_groups[0]["lr"] = self.weight_learning_rate * fall
            self._adamw.step()
            self._adamw.zero_grad()
        if self.trains_scores:
            self._adam(t + 1, self.learning_rate * fall)
        return [gate.detach() for gate in gates]

    @torch.no_grad()
    def _adam(self, u: int, rate: float) -> None:
        for score, (first, second) in zip(self.scores, self._moments, strict=True):
            assert score.grad is not None
            first.copy_(BETA1 * first + (1 - BETA1) * score.grad)
            second.copy_(BETA2 * second + (1 - BETA2) * score.grad**2)
            size = rate * math.sqrt(1 - BETA2**u) / (1 - BETA1**u)
            score -= size * first / (second.sqrt() + EPSILON)
            score.grad = None


def straight_through(mask: Tensor, score: Tensor) -> Tensor:
    """The mask, with the derivative of the score."""
    return mask.to(score.dtype) + score - score.detach()


def top(values: Tensor, k: int) -> Tensor:
    """The k largest by a full stable sort."""
    order = torch.sort(values.detach().flatten(), descending=True, stable=True).indices
    mask = torch.zeros(values.numel(), dtype=torch.bool)
    mask[order[:k]] = True
    return mask.view_as(values)


def cubic(t: int, ramp: float, begin: float, end: float) -> float:
    """Zhu & Gupta's ramp from ``begin`` to ``end`` over the first ``ramp`` of the run."""
    left = max(0.0, 1 - t / (ramp * STEPS)) ** 3
    return end + (begin - end) * left
