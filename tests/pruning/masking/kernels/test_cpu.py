"""The native kernels against their plain twins, and against themselves on other numbers of threads."""

import copy
import math

import pytest
import torch
from torch import nn

from pruning.masking.kernels import dispatch
from pruning.masking.masked_linear import MaskedLinear, keep_top_k_each, keep_top_k_overall
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.topk_state import ThresholdState

SHAPES = ((300, 301), (7, 5), (3, 1), (64, 64))
"""Longer than a block, shorter than a vector, one column, a whole number of vectors."""

pytestmark = pytest.mark.skipif(bool(dispatch.unavailable_reason()), reason=f"no native kernels: {dispatch.unavailable_reason()}")


def layers_of(seed: int = 0) -> list[MaskedLinear]:
    torch.manual_seed(seed)
    layers = [MaskedLinear(nn.Linear(columns, rows)) for rows, columns in SHAPES]
    for layer in layers:
        layer.scores.normal_()
    return layers


def train(layers: list[MaskedLinear], steps: int, *, slopes: bool = False, temperature: float = 2.0) -> list[float]:
    """Updates with made-up gradients; the masses, norms and regularisers on the way."""
    adam = ScoreAdam(layers, penalty_shift=0.25 if slopes else 0.0)
    random = torch.Generator().manual_seed(1)
    found: list[float] = []
    for t in range(steps):
        for layer in layers:
            layer.weight.grad = 10 ** (1 - t) * torch.randn(layer.base.shape, generator=random)
            layer.gate_slope = torch.rand(layer.base.shape, generator=random) if slopes else None
        found += [layer.mass(temperature) for layer in layers]
        update = adam.step(1e-2, 30.0 * t)
        found += [update.regularizer, update.grad_norm, *update.grad_norms]
    return found + [layer.mass(temperature) for layer in layers]


@pytest.mark.parametrize("slopes", [False, True])
def test_updates_equal_those_of_the_plain_twin(slopes: bool) -> None:
    native, plain = layers_of(), layers_of()
    ours = train(native, 5, slopes=slopes)
    with dispatch.plain_only():
        theirs = train(plain, 5, slopes=slopes)
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert ours != theirs, "the two are the same code"
    for one, other in zip(native, plain, strict=True):
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-4, atol=1e-6)


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    threads, found, scores = torch.get_num_threads(), [], []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            layers = layers_of()
            found.append(train(layers, 3))
            scores.append([layer.scores for layer in layers])
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(*scores, strict=True))


def test_the_mass_found_on_the_way_is_the_one_found_alone() -> None:
    layers = layers_of()
    train(layers, 2)
    for layer in layers:
        alone = copy.deepcopy(layer)
        alone._mass = None
        assert layer.mass(2.0) == alone.mass(2.0)


def test_a_mass_is_computed_again_once_torch_has_written_to_the_scores() -> None:
    layer = layers_of()[0]
    before = layer.mass(1.0)
    layer.scores.add_(1.0)
    assert layer.mass(1.0) > before + 0.1
    assert layer.mass(4.0) != layer.mass(1.0)


@pytest.mark.parametrize("x", [-200.0, -88.0, -20.0, -1.0, 0.0, 1e-40, 0.5, 20.0, 89.0, math.inf, -math.inf])
def test_the_sigmoid_is_right_everywhere(x: float) -> None:
    layer = MaskedLinear(nn.Linear(16, 2))
    layer.scores.fill_(x)
    assert layer.mass(1.0) == pytest.approx(1 / (1 + math.exp(-x)) if x > -700 else 0.0, rel=4e-7, abs=1e-37)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["normal", "quantised", "equal"])
def test_masks_and_masked_weights_are_those_of_the_plain_twin(share: float, kind: str) -> None:
    native, plain = layers_of(), layers_of()
    ours, theirs = ThresholdState(), ThresholdState()
    for t in range(4):
        for layer, twin in zip(native, plain, strict=True):
            layer.scores.add_(1e-3 * t)
            if kind == "quantised":
                layer.scores.copy_(torch.round(layer.scores, decimals=1))
            if kind == "equal":
                layer.scores.fill_(-0.0)
            twin.scores.copy_(layer.scores)
        counts = [math.floor(share * layer.base.numel()) for layer in native]
        for together in (False, True):
            if together:
                keep_top_k_overall(native, ours, sum(counts))
            else:
                keep_top_k_each(native, counts)
            with dispatch.plain_only():
                if together:
                    keep_top_k_overall(plain, theirs, sum(counts))
                else:
                    keep_top_k_each(plain, counts)
            for layer, twin in zip(native, plain, strict=True):
                assert torch.equal(layer.mask, twin.mask)
                assert layer._packed is not None
                for dtype, whole in ((torch.float32, torch.int32), (torch.bfloat16, torch.int16)):
                    masked = torch.empty_like(layer.base, dtype=dtype)
                    dispatch.apply_mask(layer.base, layer._packed, masked)
                    expected = twin.weight.detach().to(dtype)
                    assert torch.equal(masked.view(whole), expected.view(whole)), "bits, signs of zero too"
            assert sum(layer.kept for layer in native) == sum(counts)


def test_a_score_that_is_not_a_number_and_a_count_that_no_mask_has_are_refused() -> None:
    layers = layers_of()
    with pytest.raises(ValueError, match="k = -1"):
        keep_top_k_each(layers, [1, 1, 1, -1])
    for _ in range(2):  # cold, then warm
        keep_top_k_each(layers, [10, 10, 1, 10])
        layers[0].scores[299, 300] = math.nan
        with pytest.raises(ValueError, match="NaN"):
            keep_top_k_each(layers, [10, 10, 1, 10])
        layers[0].scores[299, 300] = 0.0
