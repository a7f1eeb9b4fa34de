"""L0 by hard concrete gates: sampled by the published formula, differentiated by autograd, closed for good at the end."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pruning.formats import mask_file
from pruning.masking.methods.hard_concrete import INITIAL_SCORE, HardConcrete, sample
from pruning.masking.wrap import prunable_linears
from pruning.models.loading import load_model, locate_model
from tests.pruning.masking.methods import networks, reference
from tests.pruning.masking.methods.reference import Reference
from tests.pruning.runs import finished, make_sources, run_toy

BETA, LEFT, RIGHT = 2 / 3, -0.1, 1.1


def gates_of(scores: Tensor) -> Tensor:
    """As in the movement pruning scripts, with autograd."""
    noise = torch.empty_like(scores).uniform_().clamp(0.0001, 0.9999)
    s = torch.sigmoid((noise.log() - (1 - noise).log() + scores) / BETA)
    return (s * (RIGHT - LEFT) + LEFT).clamp(min=0.0, max=1.0)


def penalty_of(scores: Tensor) -> Tensor:
    """P(gate > 0)."""
    return torch.sigmoid(scores - BETA * math.log(-LEFT / RIGHT))


def test_gates_and_their_slope_are_those_of_autograd() -> None:
    scores = reference.draw(40, 50, seed=1, scale=2.0).requires_grad_()
    torch.manual_seed(7)
    expected = gates_of(scores)
    expected.sum().backward()
    torch.manual_seed(7)
    gates, slope = sample(scores.detach())
    networks.assert_close(gates, expected, "gates")
    assert scores.grad is not None
    networks.assert_close(slope, scores.grad, "slope")
    assert 0.05 < (gates == 0).double().mean() < 0.95
    assert 0.05 < (gates == 1).double().mean() < 0.95


def test_gates_are_open_as_often_as_the_penalty_says() -> None:
    for score in (-2.0, 0.0, 1.0):
        torch.manual_seed(0)
        gates, _ = sample(torch.full((400, 500), score, dtype=torch.float64))
        expected = float(penalty_of(torch.tensor(score)))
        assert float((gates > 0).double().mean()) == pytest.approx(expected, abs=0.005)


def test_a_run_is_that_of_plain_autograd() -> None:
    expected = Reference(
        lambda scores, _weights: [gates_of(s) for s in scores], penalty_of, 1e-1, 3e-3, 20.0, initial_score=INITIAL_SCORE
    )
    spec = networks.spec_of("l0", regularization=20, weight_learning_rate=3e-3)
    pruner = networks.pruner_of(spec)
    layers = list(pruner.matrices.layers.values())
    for t in range(reference.STEPS):
        torch.manual_seed(100 + t)
        gates = expected.step(t)
        torch.manual_seed(100 + t)
        result = pruner.step(t, [reference.inputs()])
        assert result.kept == [int((gate > 0).sum()) for gate in gates]
        for i, layer in enumerate(layers):
            networks.assert_close(layer.gates, gates[i], f"gates of step {t}")
            networks.assert_close(layer.scores, expected.scores[i], f"scores after step {t}")
            networks.assert_close(layer.base, expected.weights[i], f"weights after step {t}")
    assert any((layer.gates == 0).any() for layer in layers)


def test_the_regulariser_reported_is_the_mean_chance_of_an_open_gate() -> None:
    pruner = networks.pruner_of(networks.spec_of("l0"))
    scores = [reference.draw(*shape, seed=30 + i) for i, shape in enumerate(reference.SHAPES)]
    networks.set_scores(pruner.matrices, scores)
    expected = float(np.mean([float(penalty_of(values).mean()) for values in scores]))
    assert pruner.step(3, [reference.inputs()]).update.regularizer == pytest.approx(expected, rel=1e-12)


def test_final_gates_are_the_expected_ones_and_the_mask_is_where_they_are_open() -> None:
    matrices = networks.matrices_of(*reference.start()[0])
    scores = [reference.draw(*shape, seed=40 + i, scale=3.0) for i, shape in enumerate(reference.SHAPES)]
    networks.set_scores(matrices, scores)
    method = HardConcrete()
    counts = method.select(matrices, 0.1, final=True)
    assert method.select(matrices, 0.9, final=True) == counts  # the share asked for has no say, nor has chance
    for layer, values, count in zip(matrices.layers.values(), scores, counts, strict=True):
        networks.assert_close(layer.gates, (torch.sigmoid(values) * 1.2 - 0.1).clamp(0, 1), "gates")
        networks.assert_close(layer.weight.data, layer.base * layer.gates, "masked weight")
        assert torch.equal(layer.mask, torch.sigmoid(values) > 0.1 / 1.2)
        assert count == int(layer.mask.sum())
        assert 0 < count < values.numel()


def test_gates_start_nearly_open() -> None:
    matrices = networks.matrices_of(torch.ones(100, 100))
    HardConcrete().initialize(matrices, networks.no_rows())
    assert float(torch.sigmoid(matrices.layers["0"].scores).mean()) == pytest.approx(0.9, abs=1e-3)


@pytest.mark.slow
def test_stored_weights_have_the_gates_in_them_and_the_density_is_reported(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    events = run_toy(sources, tmp_path / "work", method="l0", max_steps=30, learning_rate=1.0, regularization=400, sparsity=0.9)
    artifacts = tmp_path / "work" / "artifacts"
    masks, info = mask_file.read(artifacts / "mask.safetensors")
    metrics = finished(events)
    assert metrics["sparsity_asked"] is None
    assert 0 < metrics["remaining"] == info.density < 1
    stored = load_file(artifacts / "weights.safetensors")
    stock = prunable_linears(load_model(locate_model("bert", None, sources), ("Yes",), "label-words").model)
    shrunk = 0
    for path, mask in masks.items():
        kept = stock[path].weight.detach()[torch.from_numpy(mask)]
        shrunk += int((stored[f"values.{path}"].abs() < 0.97 * kept.abs()).sum())
    assert shrunk > 0.01 * info.density * metrics["masked_weights"]  # gates between 0 and 1
    assert json.loads((artifacts / "predictions.jsonl").read_text().splitlines()[0])["row"] == 0
