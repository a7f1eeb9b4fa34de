"""Matrix product with a packed mask, y = x (W ⊙ M)ᵀ + b, without the masked weights of the whole model in memory.

Called by :mod:`pruning.masking.masked_linear` where masks are packed. W ⊙ M of one matrix is made right before it is multiplied
with, forward and again backward, in one buffer that all matrices share: the product then finds it in the cache instead of
fetching a masked weight from memory, so that making it twice costs little, and a third copy of all weights is not needed.
"""

import threading
from typing import Any

import torch
from torch.nn.functional import linear

from pruning.masking.kernels import dispatch

_buffers = threading.local()


def masked_matmul(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, packed: torch.Tensor) -> torch.Tensor:
    """y [..., out] for x [..., in], W [out, in] and its mask in bits.

    The gradient of ``weight`` is dL/d(W ⊙ M), kept and removed weights alike. Under autocast x, W ⊙ M and b are rounded to its
    dtype, as torch's linear does; gradients have the dtypes of their tensors.
    """
    y: torch.Tensor = _Product.apply(x, weight, bias, packed)  # type: ignore[no-untyped-call]
    return y


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, packed: torch.Tensor) -> torch.Tensor:
        kind = x.device.type
        ctx.dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        ctx.x_dtype = x.dtype
        if torch.is_autocast_enabled(kind):
            x, bias = x.to(ctx.dtype), None if bias is None else bias.to(ctx.dtype)
        ctx.save_for_backward(x, weight, packed)
        return linear(x, _masked(weight, packed, ctx.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, packed = ctx.saved_tensors
        slope = gradients[0].reshape(-1, weight.shape[0])
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = (slope @ _masked(weight, packed, ctx.dtype)).view(x.shape).to(ctx.x_dtype)
        if ctx.needs_input_grad[1]:
            of_weight = (slope.T @ x.reshape(-1, weight.shape[1])).to(weight.dtype)
        if ctx.needs_input_grad[2]:
            of_bias = slope.sum(0).to(weight.dtype)
        return of_x, of_weight, of_bias, None


def _masked(weight: torch.Tensor, packed: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """W ⊙ M [out, in] in this thread's buffer, overwritten by the next call."""
    buffer: torch.Tensor | None = getattr(_buffers, str(dtype), None)
    if buffer is None or buffer.numel() < weight.numel():
        buffer = torch.empty(weight.numel(), dtype=dtype)
        setattr(_buffers, str(dtype), buffer)
    masked = buffer[: weight.numel()].view(weight.shape)
    dispatch.apply_mask(weight, packed, masked)
    return masked
