"""The masked linear layer: a weight, its scores, its mask.

Put in place of ``nn.Linear`` by :mod:`pruning.attach`. The masked weight W ⊙ M is an ordinary leaf tensor made once per
optimizer step, so forward and backward are those of a dense layer and autograd leaves dL/d(W ⊙ M) in ``weight.grad``;
the straight-through gradient of the scores is then one product in closed form (:mod:`pruning.optimizer`).
"""

import torch
from torch import nn

from pruning.select import TopK


class MaskedLinear(nn.Linear):
    """y = x (W ⊙ M)ᵀ + b.

    ``base`` is W (frozen, but for the methods that train weights), ``scores`` is S (zeros at first, in W's dtype),
    ``mask`` is M (bool, all ones at first), each of shape [out, in]; ``weight`` is W ⊙ M, the tensor with a gradient.
    """

    base: torch.Tensor
    scores: torch.Tensor
    mask: torch.Tensor
    gates: torch.Tensor
    """What W is multiplied by: the mask, or for hard concrete numbers between 0 and 1."""
    gate_slope: torch.Tensor | None
    """d gates / dS where a method's gates are differentiable; None means straight through, 1."""

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)  # nn.Linear's would allocate and initialise a weight only to throw it away
        self.in_features, self.out_features = linear.in_features, linear.out_features
        base = linear.weight.detach()
        self.register_buffer("base", base, persistent=False)
        self.register_buffer("scores", torch.zeros_like(base), persistent=False)
        self.register_buffer("mask", torch.ones_like(base, dtype=torch.bool), persistent=False)
        self.weight = nn.Parameter(base.clone())
        self.bias = linear.bias
        self.gates = self.mask
        self.gate_slope = None
        self.train(linear.training)
        self._top_k = TopK()

    @property
    def kept(self) -> int:
        """Ones in the mask."""
        return int(self.mask.sum())

    def keep(self, k: int, values: torch.Tensor | None = None) -> None:
        """Mask all but the k largest scores, or the k largest of other ``values`` [out, in]."""
        self.set_mask(self._top_k.mask(self.scores if values is None else values, k))

    def set_mask(self, mask: torch.Tensor) -> None:
        """Take ``mask`` (bool, [out, in]) and make the masked weight anew."""
        self.mask = self.gates = mask
        torch.mul(self.base, mask, out=self.weight.data)

    def set_gates(self, gates: torch.Tensor, slope: torch.Tensor | None) -> None:
        """Take gates between 0 and 1 ([out, in]); the mask is where they are open at all."""
        self.mask, self.gates, self.gate_slope = gates > 0, gates, slope
        torch.mul(self.base, gates, out=self.weight.data)
