"""Wanda by hand (|W| times the norm of each input over all tokens that are not padding, best of each row), and as a prior."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pruning.data.batching import spaced_rows
from pruning.data.reader import load_rows
from pruning.formats import mask_file
from pruning.masking.methods.base import Calibration
from pruning.masking.methods.registry import create_method, prior_strength
from pruning.masking.methods.smp import SmpL
from pruning.masking.methods.wanda import Wanda, WandaPrior, saliencies
from pruning.masking.wrap import Matrices, wrap_linears
from pruning.models.loading import load_model, locate_model
from pruning.spec.tasks import resolve_task
from pruning.training.setup import set_up
from tests.pruning.masking.methods import networks, reference
from tests.pruning.runs import finished, make_sources, run_toy, spec_of

W0, W1 = reference.draw(5, 4, seed=1), reference.draw(3, 5, seed=2)


def network_and_batches() -> tuple[Matrices, Calibration, list[dict[str, Tensor]], nn.ModuleList]:
    """Two linears, one after the other on every token; two batches with padding full of large numbers."""
    model = nn.ModuleList([networks.linear_of(W0), networks.linear_of(W1)])
    matrices = wrap_linears(model)
    batches = []
    for i, lengths in enumerate(((3, 5), (1, 4, 2))):
        x = reference.draw(len(lengths), 6, 4, seed=60 + i)
        attention = torch.zeros(len(lengths), 6, dtype=torch.int64)
        for row, length in enumerate(lengths):
            attention[row, :length] = 1
            x[row, length:] = 1e3
        batches.append({"x": x, "attention_mask": attention, "labels": torch.zeros(len(lengths))})

    def forward(inputs: dict[str, Tensor]) -> Tensor:
        assert "labels" not in inputs
        return model[1](torch.tanh(model[0](inputs["x"])))

    return matrices, Calibration(forward, batches), batches, model


def by_hand(batches: list[dict[str, Tensor]]) -> list[Tensor]:
    """Token by token."""
    squares = [torch.zeros(4, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)]
    for batch in batches:
        for row, attention in zip(batch["x"], batch["attention_mask"], strict=True):
            for token in row[: int(attention.sum())]:
                squares[0] += token**2
                squares[1] += torch.tanh(W0 @ token) ** 2
    return [W0.abs() * squares[0].sqrt(), W1.abs() * squares[1].sqrt()]


def test_saliencies_are_those_computed_by_hand_without_padding() -> None:
    matrices, calibration, batches, model = network_and_batches()
    for found, expected in zip(saliencies(matrices, calibration).values(), by_hand(batches), strict=True):
        networks.assert_close(found, expected, "saliency")
    assert not any(layer._forward_pre_hooks for layer in model)


@pytest.mark.parametrize("remaining", [0.5, 0.3, 0.8, 1.0])
def test_every_row_keeps_the_same_number_of_its_own_best(remaining: float) -> None:
    matrices, calibration, batches, _ = network_and_batches()
    method = Wanda()
    method.initialize(matrices, calibration)
    counts = method.select(matrices, remaining)
    for mask, saliency, count in zip(matrices.masks.values(), by_hand(batches), counts, strict=True):
        columns = saliency.shape[1]
        keep = int(remaining * columns + 1e-12)
        assert mask.sum(dim=1).tolist() == [keep] * len(mask)
        assert count == keep * len(mask)
        for row, values in zip(mask, saliency, strict=True):
            assert set(torch.nonzero(row).flatten().tolist()) == set(sorted(range(columns), key=lambda j: -values[j])[:keep])


def test_a_layer_that_sees_one_position_per_row_is_counted_whole() -> None:
    model = nn.ModuleList([networks.linear_of(W0)])
    matrices = wrap_linears(model)
    pooled = reference.draw(2, 4, seed=70)
    attention = torch.tensor([[1, 1, 0], [1, 0, 0]])
    calibration = Calibration(lambda inputs: model[0](pooled), [{"attention_mask": attention}])
    (found,) = saliencies(matrices, calibration).values()
    networks.assert_close(found, W0.abs() * pooled.square().sum(0).sqrt(), "saliency")


@pytest.mark.parametrize("shape", ["bert", "distilbert"])
def test_on_a_transformer_they_are_those_of_each_row_run_by_itself(tmp_path: Path, shape: str) -> None:
    sources = make_sources(tmp_path / "toys")
    fields: dict[str, Any] = {"model": shape, "method": "wanda", "max_steps": None, "calibration_rows": 40}
    run = set_up(spec_of(**fields), sources, lambda event: None)
    loaded = load_model(locate_model(shape, None, sources), ("Yes",), "label-words")
    squares: dict[str, Tensor] = {}

    def watch(path: str) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            squares[path] = squares.get(path, torch.zeros(())) + inputs[0].double().square().sum(dim=(0, 1))

        return hook

    for path in run.matrices.layers:
        loaded.model.get_submodule(path).register_forward_pre_hook(watch(path))
    rows = load_rows(resolve_task("sst2"), "train", sources)
    with torch.no_grad():
        for row in spaced_rows(len(rows.labels), 40):
            loaded.model(**loaded.tokenizer(rows.texts[0][row], return_tensors="pt"))
    for path, layer in run.matrices.layers.items():
        expected = layer.base.abs() * squares[path].sqrt()
        torch.testing.assert_close(layer.scores.double(), expected.double(), rtol=1e-4, atol=1e-7)


def test_a_run_needs_no_step_and_masks_row_by_row(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    events = run_toy(sources, tmp_path / "work", method="wanda", max_steps=None, sparsity=0.7)
    masks, _ = mask_file.read(tmp_path / "work" / "artifacts" / "mask.safetensors")
    for mask in masks.values():
        assert set(mask.sum(axis=1)) == {int(0.3 * mask.shape[1])}
    assert finished(events)["steps"] == 0
    assert not (tmp_path / "work" / "artifacts" / "weights.safetensors").exists()


@pytest.mark.parametrize("strength", [0.1, 2.0])
def test_scores_begin_as_standardised_saliencies_of_each_matrix(strength: float) -> None:
    matrices, calibration, batches, _ = network_and_batches()
    WandaPrior(SmpL(), strength).initialize(matrices, calibration)
    for layer, saliency in zip(matrices.layers.values(), by_hand(batches), strict=True):
        values = saliency.numpy()
        expected = strength * (values - values.mean()) / values.std(ddof=1)
        np.testing.assert_allclose(layer.scores.numpy(), expected, rtol=1e-9, atol=1e-12)
        assert float(layer.scores.mean()) == pytest.approx(0, abs=1e-12)
        assert float(layer.scores.std()) == pytest.approx(strength)


def test_a_weight_of_exactly_zero_does_not_spoil_the_rest() -> None:
    matrices, calibration, _, model = network_and_batches()
    layers: Any = model
    layers[0].base[0, 0] = 0.0
    WandaPrior(SmpL(), 0.1).initialize(matrices, calibration)
    scores = matrices.layers["0"].scores
    assert scores.isfinite().all()
    assert scores.argmin() == 0


def test_selection_is_that_of_the_method_beneath() -> None:
    spec = networks.spec_of("smp-g", prior="wanda", prior_strength=0.5)
    matrices, calibration, _, _ = network_and_batches()
    method = create_method(spec)
    method.initialize(matrices, calibration)
    assert sum(method.select(matrices, 0.4)) == int(0.4 * 35)  # one budget for all, as SMP-G has it
    assert method.penalty_shift == 0


def test_a_prior_changes_the_mask_and_nothing_else(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    masks = []
    for name, fields in (("with", {"prior": "wanda", "prior_strength": 1.0}), ("without", {"prior": None})):
        given: dict[str, Any] = fields
        run_toy(sources, tmp_path / name, max_steps=6, **given)
        assert not (tmp_path / name / "artifacts" / "weights.safetensors").exists()
        masks.append(mask_file.read(tmp_path / name / "artifacts" / "mask.safetensors")[0])
    assert not any(np.array_equal(masks[0][path], masks[1][path]) for path in masks[0])


@pytest.mark.parametrize(("rows", "share"), [(100, 1.0), (8_000, 1.0), (16_000, 0.5), (80_000, 0.1)])
def test_the_prior_falls_with_the_rows_that_a_long_run_sees(rows: int, share: float) -> None:
    spec = networks.spec_of("smp-l", prior="wanda", prior_strength=2.0)
    matrices, calibration, _, _ = network_and_batches()
    create_method(spec, 0.5, rows).initialize(matrices, calibration)
    assert float(matrices.layers["0"].scores.std()) == pytest.approx(2.0 * 0.5 * share, rel=1e-3)


@pytest.mark.parametrize(
    ("weights", "rows", "strength"),
    [
        (10_616_832, 8_000, 1.5),  # MiniLM, 6 layers
        (84_934_656, 16_000, 20.1815),  # MPNet-base: 8 times as many, full up to 64,000 rows
        (84_934_656, 128_000, 10.0908),
        (786_432, 8_000, 0.00429383),  # the demo's model
        (10**12, 8_000, 48.0),  # 16 times at most
    ],
)
def test_the_prior_grows_with_the_weights_of_the_model(weights: int, rows: int, strength: float) -> None:
    assert prior_strength(networks.spec_of("smp-l", prior="wanda"), rows, weights) == pytest.approx(strength, rel=1e-4)


def test_a_run_counts_the_rows_of_all_its_steps_and_the_weights_of_its_model(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    run = set_up(spec_of(prior_rows=48, prior_weights=1000, gradient_accumulation=2), sources, lambda event: None)
    noise = run.spec.learning_rate * (run.total_steps / 3) ** 0.5
    expected = prior_strength(run.spec, 12 * 16, run.matrices.total) * noise
    assert all(float(layer.scores.std()) == pytest.approx(expected, rel=1e-3) for layer in run.matrices.layers.values())
    assert expected != pytest.approx(1.5 * noise, rel=0.1)


def test_pattern_and_prior_go_together(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    run = set_up(spec_of(prior="wanda", prior_strength=2.0, prior_weights=1, pattern="2:4"), sources, lambda event: None)
    noise = run.spec.learning_rate * (run.total_steps / 3) ** 0.5  # of scores that learn nothing, over a linear fall
    assert all(float(layer.scores.std()) == pytest.approx(32 * 2 * noise, rel=1e-3) for layer in run.matrices.layers.values())
    run.pruner.select(0.5, final=True)
    for layer in run.matrices.layers.values():
        fours = layer.scores.view(-1, 4)
        assert torch.equal(layer.mask.view(-1, 4).sum(1), torch.full((len(fours),), 2))
