"""The masked linear layer: a frozen weight, its scores, its mask.

Put in place of ``nn.Linear`` by :mod:`pruning.attach`. The masked weight W ⊙ M is an ordinary leaf tensor made once per
optimizer step, so forward and backward are those of a dense layer and autograd leaves dL/d(W ⊙ M) in ``weight.grad``;
the straight-through gradient of the scores is then one product in closed form (:mod:`pruning.optimizer`).
"""

import torch
from torch import nn

from pruning.select import TopK


class MaskedLinear(nn.Linear):
    """y = x (W ⊙ M)ᵀ + b, with W and b frozen and M the mask of the k largest scores S.

    ``base`` is W, ``scores`` is S (zeros at first, in W's dtype), ``mask`` is M (bool, all ones at first), each of shape
    [out, in]; ``weight`` is W ⊙ M, the only tensor with a gradient.
    """

    base: torch.Tensor
    scores: torch.Tensor
    mask: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)  # nn.Linear's would allocate and initialise a weight only to throw it away
        self.in_features, self.out_features = linear.in_features, linear.out_features
        base = linear.weight.detach()
        self.register_buffer("base", base, persistent=False)
        self.register_buffer("scores", torch.zeros_like(base), persistent=False)
        self.register_buffer("mask", torch.ones_like(base, dtype=torch.bool), persistent=False)
        self.weight = nn.Parameter(base.clone())
        self.bias = linear.bias
        self.train(linear.training)
        self._top_k = TopK()

    @property
    def kept(self) -> int:
        """Ones in the mask."""
        return int(self.mask.sum())

    def keep(self, k: int) -> None:
        """Mask all but the k largest scores."""
        self.set_mask(self._top_k.mask(self.scores, k))

    def set_mask(self, mask: torch.Tensor) -> None:
        """Take ``mask`` (bool, [out, in]) and make the masked weight anew."""
        self.mask = mask
        torch.mul(self.base, mask, out=self.weight.data)
