"""The masked linear layer against its equation, and its gradients against an explicit straight-through estimator."""

from typing import Any

import pytest
import torch
from torch import nn

from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.score_adam import ScoreAdam


def layer_with_scores(out_features: int = 6, in_features: int = 5, *, bias: bool = True, seed: int = 0) -> MaskedLinear:
    torch.manual_seed(seed)
    layer = MaskedLinear(nn.Linear(in_features, out_features, bias=bias, dtype=torch.float64))
    layer.scores.normal_()
    return layer


class StraightThrough(torch.autograd.Function):
    """M of the k largest scores, with dM/dS taken as the identity."""

    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, k: int) -> torch.Tensor:
        order = torch.sort(scores.flatten(), stable=True, descending=True).indices
        return torch.zeros(scores.numel(), dtype=scores.dtype).index_fill(0, order[:k], 1).view_as(scores)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad, None


@pytest.mark.parametrize("bias", [True, False])
def test_the_output_is_that_of_the_weights_inside_the_mask(bias: bool) -> None:
    layer = layer_with_scores(bias=bias)
    layer.keep_top_k(13)
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    expected = x @ (layer.base * layer.mask).T + (layer.bias if bias else 0)
    torch.testing.assert_close(layer(x), expected)
    assert layer.kept == 13


def test_keep_masks_all_but_the_largest_scores() -> None:
    layer = layer_with_scores()
    layer.keep_top_k(7)
    kept, removed = layer.scores[layer.mask], layer.scores[~layer.mask]
    assert len(kept) == 7
    assert kept.min() > removed.max()
    assert torch.equal(layer.weight == 0, ~layer.mask)


def test_the_base_is_never_written_to() -> None:
    layer = layer_with_scores()
    before = layer.base.clone()
    for k in (30, 10, 0, 20):
        layer.keep_top_k(k)
    assert torch.equal(layer.base, before)
    assert torch.equal(layer.weight, before * layer.mask)


@pytest.mark.parametrize("regularization", [0.0, 400.0])
def test_score_gradients_are_those_of_an_explicit_straight_through_estimator(regularization: float) -> None:
    layers = [layer_with_scores(6, 5), layer_with_scores(3, 6, seed=1)]
    x = torch.randn(8, 5, dtype=torch.float64)
    counts = (11, 9)
    scores = [layer.scores.clone().requires_grad_() for layer in layers]
    hidden = x
    for layer, own, k in zip(layers, scores, counts, strict=True):
        hidden = torch.tanh(hidden @ (layer.base * StraightThrough.apply(own, k)).T + layer.bias)
    penalty = torch.stack([torch.sigmoid(own).mean() for own in scores]).mean()
    (hidden.square().sum() + regularization * penalty).backward()

    for layer, k in zip(layers, counts, strict=True):
        layer.keep_top_k(k)
    hidden = x
    for layer in layers:
        hidden = torch.tanh(layer(hidden))
    hidden.square().sum().backward()
    update = ScoreAdam(layers, max_grad_norm=float("inf")).step(1e-3, regularization)

    assert update.regularizer == pytest.approx(float(penalty.detach()), rel=1e-12)
    for own, norm in zip(scores, update.grad_norms, strict=True):
        assert own.grad is not None
        assert norm == pytest.approx(float(own.grad.norm()), rel=1e-12)


def test_weights_outside_the_mask_get_score_gradients_too() -> None:
    layer = layer_with_scores()
    layer.keep_top_k(10)
    layer(torch.randn(8, 5, dtype=torch.float64)).square().sum().backward()
    before = layer.scores.clone()
    ScoreAdam([layer]).step(1e-2, 0.0)
    assert bool((layer.scores != before)[~layer.mask].all())


def test_the_layer_keeps_mode_bias_and_shape_of_the_linear_it_replaces() -> None:
    linear = nn.Linear(4, 3).eval()
    layer = MaskedLinear(linear)
    assert not layer.training
    assert layer.bias is linear.bias
    assert (layer.in_features, layer.out_features) == (4, 3)
