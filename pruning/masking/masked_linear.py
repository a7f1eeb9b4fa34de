"""Masked linear layer: a weight, its scores and its mask in place of ``nn.Linear``.

Put into a model by :mod:`pruning.masking.wrap`. Masks are made once per optimizer step. With the compiled CPU kernels they are
packed bits, and :mod:`pruning.masking.masked_matmul` multiplies by them. Otherwise the masked weight W ⊙ M is an ordinary leaf
tensor made with the mask, and forward and backward are those of a dense layer; a GPU's selection writes both, packed bits and W
⊙ M. In either case autograd leaves dL/d(W ⊙ M) in ``weight.grad``, and the straight-through gradient of the scores is one
product in closed form (:mod:`pruning.masking.score_adam`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import linear

from pruning.masking import bits
from pruning.masking.kernels import dispatch
from pruning.masking.kernels.cpu import CpuKernels
from pruning.masking.masked_matmul import masked_matmul
from pruning.masking.topk import top_k_mask, top_k_masks
from pruning.masking.topk_state import ThresholdState

_NO_MASK = torch.empty(0, dtype=torch.bool)


@dataclass(frozen=True)
class ScoreMass:
    """Mean σ(S/p) of one matrix, and the version of the scores that it was computed from."""

    value: float
    temperature: float
    version: tuple[int, int]
    """Address of the scores, and torch's count of the writes to them."""


class MaskedLinear(nn.Linear):
    """y = x (W ⊙ M)ᵀ + b.

    ``base`` is W (frozen, except for the methods that train weights), ``scores`` is S (zeros at first, in W's dtype),
    ``mask`` is M (bool, all ones at first), each of shape [out, in]. ``weight`` is the tensor with a gradient, that of W ⊙ M;
    with the compiled CPU kernels its values are W itself, otherwise W ⊙ M, possibly rounded to bf16: read ``masked_weight``.
    """

    base: torch.Tensor
    scores: torch.Tensor
    _mask: torch.Tensor
    _packed: torch.Tensor | None
    """The mask in bits, as the CPU kernels and those of a GPU write it; ``_mask`` is then empty."""
    _multiplied: bool
    """Whether the values of ``weight`` are W ⊙ M."""
    _gates: torch.Tensor | None
    gate_slope: torch.Tensor | None
    """d gates / dS where a method's gates are differentiable; None means straight through, 1."""

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)  # nn.Linear's would allocate and initialise a weight that is not used
        self.in_features, self.out_features = linear.in_features, linear.out_features
        base = linear.weight.detach()
        self.register_buffer("base", base, persistent=False)
        self.register_buffer("scores", torch.zeros_like(base), persistent=False)
        self.register_buffer("_mask", torch.ones_like(base, dtype=torch.bool), persistent=False)
        self._packed = self._gates = None
        self._multiplied = True
        self.weight = nn.Parameter(base)  # the same memory, until a mask that is not packed asks for its own
        self.bias = linear.bias
        self.gate_slope = None
        self.train(linear.training)
        self.threshold = ThresholdState()
        """Memory of the selection from this matrix's scores."""
        self._mass: ScoreMass | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """y [..., out] for x [..., in]."""
        if self._packed is None or self._multiplied:
            if self._rounded and not torch.is_autocast_enabled(x.device.type):  # an evaluation in a run in bf16
                return linear(x, self.masked_weight, self.bias)
            return super().forward(x)
        return masked_matmul(x, self.weight, self.bias, self._packed)

    @property
    def mask(self) -> torch.Tensor:
        """M; not to be written to."""
        if self._packed is not None:
            return bits.unpack_tensor_lsb_first(self._packed, self.base.shape)
        return self._mask

    @property
    def gates(self) -> torch.Tensor:
        """Factors of W: the mask, or for hard concrete numbers between 0 and 1."""
        return self.mask if self._gates is None else self._gates

    @property
    def masked_weight(self) -> torch.Tensor:
        """W ⊙ M, [out, in]; not to be written to."""
        return self.weight.detach() if self._multiplied and not self._rounded else self.base * self.mask

    @property
    def kept(self) -> int:
        """Ones in the mask."""
        return int(self._mask.sum()) if self._packed is None else bits.count_ones(self._packed)

    @property
    def mass_temperature(self) -> float | None:
        """The p of the last :meth:`mass`: the update of the scores computes the next mass for it in the same pass."""
        return self._mass.temperature if self._mass else None

    def mass(self, temperature: float) -> float:
        """Mean σ(S/p), in float64 with the compiled CPU kernels, otherwise in the scores' dtype."""
        if self._mass is None or (self._mass.temperature, self._mass.version) != (temperature, self._scores_version()):
            if kernels := dispatch.cpu_kernels_for([self.scores]):
                value = kernels.masses([self.scores], temperature)[0]
            else:
                value = float(torch.sigmoid(self.scores / temperature).mean())
            self._mass = ScoreMass(value, temperature, self._scores_version())
        return self._mass.value

    def scores_updated(self, mass: float, temperature: float | None) -> None:
        """Record that a kernel wrote to the scores, which torch does not see; ``mass`` is :meth:`mass` at ``temperature`` now."""
        torch.autograd.graph.increment_version(self.scores)
        self._mass = None if temperature is None else ScoreMass(mass, temperature, self._scores_version())

    def _scores_version(self) -> tuple[int, int]:
        return self.scores.data_ptr(), self.scores._version

    def keep_top_k(self, k: int, values: torch.Tensor | None = None) -> None:
        """Mask all but the k largest scores, or the k largest of other ``values`` [out, in]."""
        self.set_mask(top_k_mask(self.scores if values is None else values, k, self.threshold))

    def set_mask(self, mask: torch.Tensor) -> None:
        """Set ``mask`` (bool, [out, in]) and recompute the masked weight."""
        self._mask, self._packed, self._gates = mask, None, None
        self._multiply(mask)

    def set_gates(self, gates: torch.Tensor, slope: torch.Tensor | None) -> None:
        """Take gates between 0 and 1 ([out, in]); the mask is where they are open at all."""
        self._mask, self._packed, self._gates, self.gate_slope = gates > 0, None, gates, slope
        self._multiply(gates)

    @property
    def _rounded(self) -> bool:
        return self.weight.dtype != self.base.dtype

    def masked_weight_buffer(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The values of ``weight`` in memory of their own, [out, in], for W ⊙ M to be written to.

        In ``dtype``, W's unless another is given; the gradient will have the same.
        """
        dtype = dtype or self.base.dtype
        if self.weight.data_ptr() == self.base.data_ptr() or self.weight.dtype != dtype:
            self.weight.grad = None
            self.weight.data = torch.empty_like(self.base, dtype=dtype)
        return self.weight.data

    def set_packed_mask(self, packed: torch.Tensor) -> None:
        """Take M in bits, after W ⊙ M was written to :meth:`masked_weight_buffer`; later selections may overwrite ``packed``."""
        self._mask, self._packed, self._gates, self._multiplied = _NO_MASK, packed, None, True

    def packed_mask(self) -> torch.Tensor:
        """A copy of M in bits, the least significant first, on the CPU."""
        if self._packed is not None:
            return self._packed.to("cpu", copy=True)
        return torch.from_numpy(bits.pack_lsb_first(self._mask.cpu().numpy()))

    def load_packed_mask(self, packed: torch.Tensor) -> None:
        """Take M as :meth:`packed_mask` gave it, in the form that the last selection has left: a product then rounds as it did."""
        if self._packed is not None and not self._multiplied:
            self._set_packed(packed)
        else:
            self.set_mask(bits.unpack_tensor_lsb_first(packed, self.base.shape).to(self.base.device))

    def remove_mask(self) -> None:
        """Keep every weight: the layer computes what the replaced linear did."""
        self._mask, self._packed, self._gates = torch.ones_like(self.base, dtype=torch.bool), None, None
        self.weight.data, self._multiplied = self.base, True

    def _multiply(self, gates: torch.Tensor) -> None:
        torch.mul(self.base, gates, out=self.masked_weight_buffer())
        self._multiplied = True

    def _set_packed(self, packed: torch.Tensor) -> None:
        """Take M in bits; the values of ``weight`` are W."""
        self._mask, self._packed, self._gates = _NO_MASK, packed, None
        self.weight.data, self._multiplied = self.base, False


def keep_top_k_each(layers: Sequence[MaskedLinear], counts: Sequence[int]) -> None:
    """In every layer, mask all but so many of its largest scores; with the compiled CPU kernels in one pass."""
    if kernels := _cpu_kernels_for(layers):
        states = [layer.threshold for layer in layers]
        _set_packed(layers, kernels.select(states, [[layer.scores] for layer in layers], counts))
    else:
        for layer, k in zip(layers, counts, strict=True):
            layer.keep_top_k(k)


def keep_top_k_overall(layers: Sequence[MaskedLinear], state: ThresholdState, k: int) -> None:
    """Mask all but the k largest scores of all layers; of equal scores those of the earlier layer stay.

    ``state`` is the memory of this ranking over all layers.
    """
    scores = [layer.scores for layer in layers]
    if kernels := _cpu_kernels_for(layers):
        _set_packed(layers, kernels.select([state], [scores], [k]))
    else:
        for layer, mask in zip(layers, top_k_masks(scores, k, state), strict=True):
            layer.set_mask(mask)


def _cpu_kernels_for(layers: Sequence[MaskedLinear]) -> CpuKernels | None:
    return dispatch.cpu_kernels_for(*((layer.scores, layer.base) for layer in layers))


def _set_packed(layers: Sequence[MaskedLinear], masks: Sequence[torch.Tensor]) -> None:
    for layer, packed in zip(layers, masks, strict=True):
        layer._set_packed(packed)
