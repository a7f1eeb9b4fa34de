"""Movement pruning against plain autograd: straight-through scores, weights trained through the mask, one clipping."""

import pytest
import torch
from torch import Tensor

from tests.pruning.masking.methods import networks, reference
from tests.pruning.masking.methods.reference import Reference, cubic, straight_through, top


def reference_of(
    remaining: float, *, loss_scale: float = 1.0, regularization: float = 0.0, biases: bool = False
) -> Reference:
    steps = iter(range(reference.STEPS))

    def gates(scores: list[Tensor], _weights: list[Tensor]) -> list[Tensor]:
        v = cubic(next(steps), 0.6, 1.0, remaining)
        return [straight_through(top(s, int(v * s.numel() + 1e-12)), s) for s in scores]

    return Reference(
        gates, torch.sigmoid, 1e-2, 3e-3, regularization, loss_scale=loss_scale, trains_biases=biases
    )  # fmt: skip


@pytest.mark.parametrize(("loss_scale", "clipped"), [(1.0, False), (80.0, True)])
def test_scores_and_weights_move_as_in_plain_autograd(loss_scale: float, clipped: bool) -> None:
    spec = networks.spec_of("movement", sparsity=0.75, weight_learning_rate=3e-3)
    expected = reference_of(0.25, loss_scale=loss_scale)
    networks.compare_step_by_step(networks.pruner_of(spec, loss_scale=loss_scale), expected)
    assert (expected.clipped > reference.STEPS // 2) == clipped


def test_biases_are_clipped_together_with_scores_and_weights() -> None:
    spec = networks.spec_of("movement", sparsity=0.75, weight_learning_rate=3e-3, train_biases=True)
    expected = reference_of(0.25, loss_scale=80.0, biases=True)
    networks.compare_step_by_step(networks.pruner_of(spec, loss_scale=80.0), expected)
    assert expected.clipped > reference.STEPS // 2


def test_the_regulariser_pulls_scores_and_not_weights() -> None:
    spec = networks.spec_of("movement", sparsity=0.75, weight_learning_rate=3e-3, regularization=40)
    networks.compare_step_by_step(networks.pruner_of(spec), reference_of(0.25, regularization=40))


def test_only_kept_weights_move_and_all_scores_do() -> None:
    pruner = networks.pruner_of(networks.spec_of("movement", sparsity=0.75))
    for t in range(reference.STEPS - 1):
        pruner.step(t, [reference.inputs()])
    layers = list(pruner.matrices.layers.values())
    before = [(layer.base.clone(), layer.scores.clone()) for layer in layers]
    moments = [pruner.weight_adam._optimizer.state[w]["exp_avg"] for w in pruner.weight_adam._weights]  # type: ignore[union-attr]
    for moment in moments:
        moment.zero_()  # or past gradients would move pruned weights
    pruner.step(reference.STEPS - 1, [reference.inputs()])
    for layer, (base, scores) in zip(layers, before, strict=True):
        moved = layer.base != base
        assert moved.sum() > 0
        assert not (moved & ~layer.mask).any()
        assert (layer.scores != scores).all()
