"""Movement and soft movement pruning against plain autograd: scores and weights trained through the mask, one clipping."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pruning.formats import mask_file
from pruning.masking.methods.movement import SoftMovement
from tests import toy_models
from tests.pruning.masking.methods import networks, reference
from tests.pruning.masking.methods.reference import Reference, cubic, straight_through, top
from tests.pruning.runs import finished, make_sources, run_toy


def reference_of(remaining: float, *, loss_scale: float = 1.0, regularization: float = 0.0, biases: bool = False) -> Reference:
    steps = iter(range(reference.STEPS))

    def gates(scores: Sequence[Tensor], _weights: Sequence[Tensor]) -> list[Tensor]:
        v = cubic(next(steps), 0.6, 1.0, remaining)
        return [straight_through(top(s, int(v * s.numel() + 1e-12)), s) for s in scores]

    return Reference(gates, torch.sigmoid, 1e-2, 3e-3, regularization, loss_scale=loss_scale, trains_biases=biases)


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


@pytest.mark.parametrize("tau", [0.0, 1e-3, 0.05, 0.1, 0.4999])
def test_a_weight_stays_while_its_sigmoid_is_above_the_threshold(tau: float) -> None:
    matrices = networks.matrices_of(*reference.start()[0])
    scores = [reference.draw(*shape, seed=20 + i, scale=3.0) for i, shape in enumerate(reference.SHAPES)]
    networks.set_scores(matrices, scores)
    counts = SoftMovement().select(matrices, tau)
    for mask, values, count in zip(matrices.masks.values(), scores, counts, strict=True):
        assert torch.equal(mask, torch.sigmoid(values) > tau)
        assert count == int(mask.sum())


def test_a_threshold_of_zero_removes_nothing_however_low_the_score() -> None:
    matrices = networks.matrices_of(torch.ones(2, 4))
    networks.set_scores(matrices, [torch.full((2, 4), -1e4)])
    assert SoftMovement().select(matrices, 0.0) == [8]


def test_a_run_is_that_of_plain_autograd_with_a_rising_threshold() -> None:
    taus: list[float] = []

    def gates(scores: Sequence[Tensor], _weights: Sequence[Tensor]) -> list[Tensor]:
        taus.append(cubic(len(taus), 0.6, 0.0, 0.47))
        return [straight_through(torch.sigmoid(s) > taus[-1], s) for s in scores]

    expected = Reference(gates, torch.sigmoid, 4e-2, 3e-3, 30.0)
    spec = networks.spec_of("soft-movement", threshold=0.47, regularization=30, learning_rate=4e-2, weight_learning_rate=3e-3)
    pruner = networks.pruner_of(spec)
    networks.compare_step_by_step(pruner, expected)
    assert taus[0] == 0
    assert taus == sorted(taus)
    assert taus[-1] == 0.47
    kept = [layer.kept for layer in pruner.matrices.layers.values()]
    assert 0 < sum(kept) < pruner.matrices.total


@pytest.mark.slow
def test_the_density_reached_is_reported_and_falls_with_the_regulariser(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    reached = {}
    for weight in (0.0, 400.0):
        work = tmp_path / str(weight)
        fields: dict[str, Any] = {"regularization": weight, "learning_rate": 0.3, "max_steps": 25, "sparsity": 0.9}
        events = run_toy(sources, work, method="soft-movement", **fields)
        metrics = finished(events)
        masks, info = mask_file.read(work / "artifacts" / "mask.safetensors")
        kept, total = sum(int(mask.sum()) for mask in masks.values()), sum(mask.size for mask in masks.values())
        assert metrics["remaining"] == kept / total == info.density
        assert metrics["sparsity"] == 1 - kept / total
        assert metrics["sparsity_asked"] is None
        assert metrics["masked_weights"] == 2 * (4 * toy_models.HIDDEN**2 + 2 * toy_models.HIDDEN * toy_models.INTERMEDIATE)
        reached[weight] = metrics["remaining"]
    assert 0 < reached[400.0] < reached[0.0] <= 1
