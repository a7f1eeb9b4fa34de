"""The product by a packed mask against torch's linear on the masked weight, forward and backward."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from pruning.masking.kernels import dispatch
from pruning.masking.masked_linear import MaskedLinear, keep_top_k_each

pytestmark = pytest.mark.skipif(bool(dispatch.unavailable_reason()), reason=f"no native kernels: {dispatch.unavailable_reason()}")


def twins() -> tuple[MaskedLinear, MaskedLinear]:
    """The same layer with a packed mask and with its masked weight as a leaf."""
    torch.manual_seed(0)
    linear = nn.Linear(37, 19)
    packed, plain = MaskedLinear(linear), MaskedLinear(linear)
    packed.scores.normal_()
    keep_top_k_each([packed], [211])
    plain.set_mask(packed.mask)
    return packed, plain


@pytest.mark.parametrize("bf16", [False, True])
def test_outputs_and_gradients_are_those_of_a_linear_with_the_masked_weight(bf16: bool) -> None:
    packed, plain = twins()
    packed.bias.requires_grad_()
    found = []
    for layer in (packed, plain):
        x = torch.randn(4, 6, 37, generator=torch.Generator().manual_seed(1)).requires_grad_()
        for _ in range(2):  # gradients of micro-batches add up
            with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
                y = layer(x)
            y.float().square().sum().backward()
        found.append([y, layer.weight.grad, layer.bias.grad, x.grad])
        layer.bias.grad = None
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=2e-2 if bf16 else 1e-5, atol=5e-2 if bf16 else 1e-5)
    assert torch.equal(packed.masked_weight, plain.masked_weight)


def test_the_masked_weight_takes_no_memory_of_its_own_until_a_mask_that_is_not_packed() -> None:
    packed, plain = twins()
    assert packed.weight.data_ptr() == packed.base.data_ptr() != plain.weight.data_ptr()
    before = packed.base.clone()
    packed.set_mask(torch.zeros_like(packed.mask))
    assert torch.equal(packed.base, before)
    assert not packed.masked_weight.any()
    keep_top_k_each([packed], [packed.base.numel()])
    packed.remove_mask()
    x = torch.randn(3, 37)
    torch.testing.assert_close(packed(x), nn.functional.linear(x, before, packed.bias))


def test_rounding_to_bf16_is_torchs() -> None:
    weight = torch.tensor([[1.00390625, 1.01171875, -1.00390625, 3e-40, -0.0, 3.4e38, math.inf, -math.inf, math.nan, 1e-3]])
    packed = torch.full((2,), 255, dtype=torch.uint8)
    ours = torch.empty_like(weight, dtype=torch.bfloat16)
    dispatch.apply_mask(weight, packed, ours)
    numbers = ~weight.isnan()
    assert torch.equal(ours[numbers].view(torch.int16), weight[numbers].to(torch.bfloat16).view(torch.int16))
    assert torch.equal(ours.isnan(), weight.isnan())
