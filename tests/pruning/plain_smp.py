"""Plain loop of Static Model Pruning, written from the algorithm's description alone: nothing of the project is imported.

An oracle that is always there, where the traces of the reference code may not be. Masks are recomputed from scores by a full
sort, gradients come from autograd through a straight-through estimator, and AdamW is written out; all in float64. It is held
against the traces by ``test_plain_smp.py`` where these are.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

MATRIX = re.compile(r"bert\.encoder\.layer\.(\d+)\.((?:\w+\.)*(?:query|key|value|dense))\.weight")
"""Names of masked weights: all six matrices of each layer of a BERT."""


class StraightThrough(torch.autograd.Function):
    """W ⊙ M forward; backward dL/dS = dL/d(W ⊙ M) ⊙ W on kept and removed weights alike (Bengio et al. 2013, arXiv 1308.3432)."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, weight: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return weight * mask

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient * ctx.saved_tensors[0], None, None


@dataclass
class PlainSmp:
    """A run of ``steps`` on a ``BertForMaskedLM`` in float64, in evaluation mode (dropout 0).

    ``words`` are the token ids of the classes, read at a row's first ``mask_token`` or else at position 0. ``allocate`` is
    SMP-S (temperature 1, a surplus is lost), else SMP-L. ``ramp`` steps lead from density 1 to ``density``; λ follows its own
    cubic over the whole run.
    """

    model: torch.nn.Module
    words: tuple[int, ...]
    mask_token: int
    steps: int
    ramp: int
    density: float
    allocate: bool
    regularization: float = 400.0
    learning_rate: float = 2e-2
    masks: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.weights = {name: value.detach() for name, value in self.model.named_parameters() if MATRIX.fullmatch(name)}
        self.scores = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.first = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.weights.items()}

    def shares(self, density: float) -> dict[str, float]:
        """Density of each matrix: within each of the six types ρ_l / Σ ρ · (density · layers), ρ the mean of σ(S)."""
        if not self.allocate:
            return dict.fromkeys(self.scores, density)
        means = {name: float(torch.sigmoid(scores).mean()) for name, scores in self.scores.items()}
        kinds: dict[str, list[str]] = {}
        for name in means:
            kinds.setdefault(MATRIX.sub(r"\2", name), []).append(name)
        return {
            name: means[name] / sum(means[other] for other in names) * (density * len(names))
            for names in kinds.values()
            for name in names
        }

    def select(self, density: float) -> None:
        """Keep the floor(share · size) largest scores of each matrix."""
        shares = self.shares(density)
        for name, value in self.scores.items():
            scores = value.flatten()
            kept = min(int(shares[name] * scores.numel()), scores.numel())
            mask = torch.zeros_like(scores)
            mask[torch.argsort(scores, descending=True)[:kept]] = 1
            self.masks[name] = mask.view_as(self.scores[name])

    def logits(self, inputs: dict[str, Tensor], scores: dict[str, Tensor]) -> Tensor:
        """Of shape [rows, classes]."""
        masked = {name: StraightThrough.apply(scores[name], self.weights[name], self.masks[name]) for name in scores}
        logits = functional_call(self.model, masked, kwargs=inputs).logits
        positions = (inputs["input_ids"] == self.mask_token).int().argmax(1)
        return logits[torch.arange(len(positions)), positions][:, list(self.words)]

    def step(self, t: int, inputs: dict[str, Tensor], labels: Tensor) -> float:
        """One optimizer step on a batch; returns the task loss before it."""
        left = max(1 - t / self.ramp, 0.0) ** 3
        strength = self.regularization * (1 - (1 - t / self.steps) ** 3)
        self.select(self.density + (1 - self.density) * left)
        scores = {name: value.clone().requires_grad_() for name, value in self.scores.items()}
        loss = cross_entropy(self.logits(inputs, scores), labels)
        penalty = torch.stack([torch.sigmoid(value).mean() for value in scores.values()]).mean()
        gradients = torch.autograd.grad(loss + strength * penalty, list(scores.values()))
        norm = float(torch.sqrt(torch.stack([(gradient**2).sum() for gradient in gradients]).sum()))
        clip = min(1.0, 1.0 / (norm + 1e-6))
        size = self.learning_rate * (self.steps - t) / self.steps * (1 - 0.999 ** (t + 1)) ** 0.5 / (1 - 0.9 ** (t + 1))
        for name, gradient in zip(scores, gradients, strict=True):
            self.first[name] = 0.9 * self.first[name] + 0.1 * clip * gradient
            self.second[name] = 0.999 * self.second[name] + 0.001 * (clip * gradient) ** 2
            self.scores[name] = self.scores[name] - size * self.first[name] / (self.second[name].sqrt() + 1e-8)
        return float(loss.detach())
