"""SMP-S as the reference code does it, written plainly, for :mod:`benchmarks.run` to be compared with.

Inputs padded to one length; in every forward pass each masked layer sorts all its scores, makes its mask and multiplies; the
scores get their gradients and the regulariser its own through autograd; the optimizer is torch's AdamW.
"""

from typing import Any

import torch
from torch import nn

from pruning.masking.allocation import group_pattern
from pruning.masking.schedule import Schedule
from pruning.masking.wrap import prunable_linears
from pruning.models.heads import LabelWordHead

Batch = dict[str, torch.Tensor]


class _Mask(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, share: float) -> torch.Tensor:
        order = scores.flatten().sort(descending=True).indices
        mask = torch.zeros(scores.numel(), device=scores.device)
        mask[order[: int(share * scores.numel())]] = 1
        return mask.view(scores.shape)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


class _Layer(nn.Linear):
    """A linear whose mask is made in every forward pass."""

    share = 1.0

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.scores = nn.Parameter(torch.zeros_like(linear.weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask: torch.Tensor = _Mask.apply(self.scores, self.share)  # type: ignore[no-untyped-call]
        return nn.functional.linear(x, self.weight * mask, self.bias)


class Reference:
    """A model in training; changes the model of ``head``."""

    def __init__(self, head: LabelWordHead, schedule: Schedule) -> None:
        self.head, self.schedule = head.train(), schedule
        head.requires_grad_(requires_grad=False)
        self.layers: list[_Layer] = []
        self.groups: dict[str, list[_Layer]] = {}
        for path, linear in prunable_linears(head.model).items():
            layer = _Layer(linear)
            parent, _, name = path.rpartition(".")
            setattr(head.model.get_submodule(parent), name, layer)
            self.layers.append(layer)
            self.groups.setdefault(group_pattern(path), []).append(layer)
        self.optimizer = torch.optim.AdamW([layer.scores for layer in self.layers], weight_decay=0.0)

    def step(self, t: int, batch: Batch) -> None:
        """One step on a batch of padded rows."""
        self._allocate(self.schedule.remaining(t))
        logits = self.head(**{name: tensor for name, tensor in batch.items() if name != "labels"})
        loss = nn.functional.cross_entropy(logits, batch["labels"])
        penalty = torch.stack([torch.sigmoid(layer.scores).mean() for layer in self.layers]).mean()
        self.optimizer.zero_grad()
        (loss + self.schedule.regularization(t) * penalty).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([layer.scores for layer in self.layers], 1.0)
        self.optimizer.param_groups[0]["lr"] = self.schedule.learning_rate(t)
        self.optimizer.step()

    def _allocate(self, remaining: float) -> None:
        for layers in self.groups.values():
            masses = [float(torch.sigmoid(layer.scores.detach()).mean()) for layer in layers]
            for layer, mass in zip(layers, masses, strict=True):
                layer.share = min(1.0, mass / sum(masses) * remaining * len(layers))
