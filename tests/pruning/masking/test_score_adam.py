"""One pass over the scores against autograd, torch's Adam, and a transcription of the reference code's."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.score_adam import ScoreAdam

SHAPES = ((6, 5), (3, 6))
Mover = Callable[[list[torch.Tensor], float], None]


def layers_of(dtype: torch.dtype = torch.float64) -> list[MaskedLinear]:
    torch.manual_seed(0)
    layers = [MaskedLinear(nn.Linear(shape[1], shape[0], dtype=dtype)) for shape in SHAPES]
    for layer in layers:
        layer.scores.normal_()
    return layers


def weight_gradients(step: int, scale: float) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(step)
    return [scale * torch.randn(shape, generator=random, dtype=torch.float64) for shape in SHAPES]


def torch_adam(scores: list[torch.Tensor]) -> Mover:
    adam = torch.optim.Adam(scores, lr=1.0, betas=(0.9, 0.999), eps=1e-8)

    def move(_: list[torch.Tensor], learning_rate: float) -> None:
        adam.param_groups[0]["lr"] = learning_rate
        adam.step()

    return move


def transformers_4_17_adamw(scores: list[torch.Tensor]) -> Mover:
    state: list[dict[str, Any]] = [{"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)} for p in scores]

    def move(gradients: list[torch.Tensor], learning_rate: float) -> None:
        for p, grad, own in zip(scores, gradients, state, strict=True):
            own["step"] += 1
            own["exp_avg"].mul_(0.9).add_(grad, alpha=1.0 - 0.9)
            own["exp_avg_sq"].mul_(0.999).addcmul_(grad, grad, value=1.0 - 0.999)
            denominator = own["exp_avg_sq"].sqrt().add_(1e-8)
            step_size = learning_rate * math.sqrt(1.0 - 0.999 ** own["step"]) / (1.0 - 0.9 ** own["step"])
            with torch.no_grad():
                p.addcdiv_(own["exp_avg"], denominator, value=-step_size)

    return move


@pytest.mark.parametrize("scale", [1e-7, 1e-2, 10.0], ids=["around epsilon", "unclipped", "clipped"])
@pytest.mark.parametrize(("epsilon", "adam"), [("corrected", torch_adam), ("uncorrected", transformers_4_17_adamw)])
def test_twenty_updates_equal_an_independent_implementation(
    epsilon: str, adam: Callable[[list[torch.Tensor]], Mover], scale: float
) -> None:
    layers = layers_of()
    optimizer = ScoreAdam(layers, max_grad_norm=1.0, epsilon=epsilon)  # type: ignore[arg-type]
    scores = [layer.scores.clone().requires_grad_() for layer in layers]
    move = adam(scores)
    for t in range(20):
        learning_rate, regularization = 2e-2 * (20 - t) / 20, 400 * scale * t / 20
        for layer, gradient in zip(layers, weight_gradients(t, scale), strict=True):
            layer.weight.grad = gradient
        update = optimizer.step(learning_rate, regularization)

        penalty = torch.stack([torch.sigmoid(own).mean() for own in scores]).mean()
        penalties = torch.autograd.grad(regularization * penalty, scores)
        for own, layer, gradient, pull in zip(scores, layers, weight_gradients(t, scale), penalties, strict=True):
            own.grad = gradient * layer.base + pull
        norms = [float(own.grad.norm()) for own in scores]  # type: ignore[union-attr]
        norm = float(nn.utils.clip_grad_norm_(scores, 1.0))
        move([own.grad for own in scores], learning_rate)  # type: ignore[misc]

        assert update.regularizer == pytest.approx(float(penalty.detach()), rel=1e-12)
        assert update.grad_norm == pytest.approx(norm, rel=1e-12)
        assert update.grad_norms == pytest.approx(norms, rel=1e-12)
        for layer, own in zip(layers, scores, strict=True):
            torch.testing.assert_close(layer.scores, own.detach(), rtol=1e-11, atol=1e-13)


def test_the_two_placements_of_epsilon_differ_where_gradients_are_small() -> None:
    moved = []
    for epsilon in ("corrected", "uncorrected"):
        layers = layers_of()
        before = layers[0].scores.clone()
        for layer, gradient in zip(layers, weight_gradients(0, 1e-7), strict=True):
            layer.weight.grad = gradient
        ScoreAdam(layers, epsilon=epsilon).step(1e-2, 0.0)
        moved.append(float((layers[0].scores - before).abs().mean()))
    assert moved[1] < 0.9 * moved[0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_gradients_that_are_not_finite_leave_everything_as_it_was(bad: float) -> None:
    layers = layers_of()
    optimizer = ScoreAdam(layers)
    for layer, gradient in zip(layers, weight_gradients(0, 1.0), strict=True):
        layer.weight.grad = gradient
    optimizer.step(1e-2, 1.0)
    kept = [t.clone() for layer in layers for t in (layer.scores, layer.base)]
    moments = [t.clone() for t in (*optimizer.first, *optimizer.second)]
    for layer, gradient in zip(layers, weight_gradients(1, 1.0), strict=True):
        layer.weight.grad = gradient
    layers[1].weight.grad[2, 3] = bad  # type: ignore[index]
    with pytest.raises(FloatingPointError, match="finite"):
        optimizer.step(1e-2, 1.0)
    assert optimizer.steps == 1
    assert all(torch.equal(a, b) for a, b in zip(kept, [t for x in layers for t in (x.scores, x.base)], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(moments, (*optimizer.first, *optimizer.second), strict=True))


def test_a_matrix_that_the_loss_does_not_reach_is_still_regularised() -> None:
    layers = layers_of()
    before = [layer.scores.clone() for layer in layers]
    layers[0].weight.grad = weight_gradients(0, 1.0)[0]
    update = ScoreAdam(layers).step(1e-2, 10.0)
    assert update.grad_norms[1] > 0
    assert bool((layers[1].scores < before[1]).all())


def test_gradients_are_dropped_after_the_update() -> None:
    layers = layers_of()
    for layer, gradient in zip(layers, weight_gradients(0, 1.0), strict=True):
        layer.weight.grad = gradient
    ScoreAdam(layers).step(1e-2, 0.0)
    assert all(layer.weight.grad is None for layer in layers)
