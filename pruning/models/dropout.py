"""Counter-based dropout on the CPU: masks drawn in parallel from a seed and drawn again in the backward pass, so none is stored.

torch draws its random numbers one by one and keeps them for the backward pass. Where compiled kernels are available,
``nn.Dropout`` and the dropout of attention weights become :func:`fast_dropout` instead. The seeds come from torch's generator,
so a run is repeated and resumed as before. Elsewhere the model stays as it is. Called by :mod:`pruning.training`.
"""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from pruning.masking.kernels import dispatch
from pruning.masking.kernels.cpu import CpuKernels

_ATTENTION = "espalier"
_SPECIAL = ("position_bias", "cache", "softcap", "s_aux")
"""Options of attention that change the result and that only transformers' own implementation supports."""


class FastDropout(nn.Dropout):
    """``nn.Dropout`` by :func:`fast_dropout`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape and dtype of ``x``."""
        return fast_dropout(x, self.p) if self.training else x


def replace_dropout(model: nn.Module) -> None:
    """Put fast dropout in place of dropout, in modules and in attention; outputs in evaluation mode do not change."""
    for module in list(model.modules()):
        for name, part in module.named_children():
            if type(part) is nn.Dropout and not part.inplace:
                setattr(module, name, FastDropout(part.p).train(part.training))
    config: Any = getattr(model, "config", None)
    if getattr(config, "_attn_implementation", None) == "sdpa":
        AttentionInterface.register(_ATTENTION, attention)
        AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
        config._attn_implementation = _ATTENTION


def fast_dropout(x: torch.Tensor, p: float) -> torch.Tensor:
    """x / (1 - p), every element 0 with probability ``p``; any shape."""
    if 0 < p < 1 and _cpu_kernels_for(x):
        y: torch.Tensor = _Dropped.apply(x, p)  # type: ignore[no-untyped-call]
        return y
    return nn.functional.dropout(x, p)


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' ``sdpa``; where that would drop attention weights one by one, the same computation with :func:`fast_dropout`.

    query, key and value: [B, heads, S, d]; the mask is bool or added, and can be broadcast to [B, heads, S, S]. Returns
    [B, S, heads, d].
    """
    causal = attention_mask is None and (getattr(module, "is_causal", True) if is_causal is None else is_causal)
    special = any(options.get(name) is not None for name in _SPECIAL) or query.shape[:2] != key.shape[:2]
    if dropout == 0 or causal or special or not _cpu_kernels_for(query.new_empty(0)):
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **options
        )
        return found
    scores = torch.matmul(query * (query.shape[-1] ** -0.5 if scaling is None else scaling), key.transpose(2, 3))
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:
            scores.masked_fill_(attention_mask.logical_not(), torch.finfo(scores.dtype).min)
        else:
            scores += attention_mask
    weights = fast_dropout(torch.softmax(scores, dim=-1).to(value.dtype), dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, p: float) -> torch.Tensor:
        ctx.seed, ctx.p = int(torch.randint(2**62, ())), p
        return _draw(x, ctx.seed, p)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _draw(gradients[0].contiguous(), ctx.seed, ctx.p), None


def _cpu_kernels_for(x: torch.Tensor) -> CpuKernels | None:
    return dispatch.cpu_kernels_for([x], dtypes=(torch.float32, torch.bfloat16))


def _draw(x: torch.Tensor, seed: int, p: float) -> torch.Tensor:
    kernels = _cpu_kernels_for(x)
    if kernels is None:  # the kernels were switched off between a forward pass and its backward pass
        raise RuntimeError("the kernels that dropped elements are no longer available")
    return kernels.dropout(x, seed, p)
