"""Magnitude pruning: gradual against plain autograd, and at once."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pruning.formats import mask_file
from pruning.masking.methods.magnitude import Magnitude
from pruning.masking.wrap import prunable_linears
from pruning.models.loading import load_model, locate_model
from tests.pruning.masking.methods import networks, reference
from tests.pruning.masking.methods.reference import Reference, cubic, top
from tests.pruning.runs import make_sources, run_toy


@pytest.mark.parametrize("loss_scale", [1.0, 80.0])
def test_gradual_pruning_is_that_of_plain_autograd(loss_scale: float) -> None:
    steps = iter(range(reference.STEPS))

    def gates(_scores: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        v = cubic(next(steps), 0.6, 1.0, 0.25)
        return [top(w.abs(), int(v * w.numel() + 1e-12)).double() for w in weights]

    expected = Reference(gates, torch.zeros_like, 0.0, 3e-2, 0.0, trains_scores=False, loss_scale=loss_scale)
    spec = networks.spec_of("magnitude", sparsity=0.75, weight_learning_rate=3e-2)
    networks.compare_step_by_step(networks.pruner_of(spec, loss_scale=loss_scale), expected)


def test_the_largest_weights_of_each_matrix_stay_whatever_their_sign_and_scores() -> None:
    first, second = torch.tensor([[3.0, -4.0, 1.0, -2.0]]), torch.tensor([[10.0, -20.0], [-30.0, 5.0]])
    matrices = networks.matrices_of(first, second)
    networks.set_scores(matrices, [first, second])
    assert Magnitude().select(matrices, 0.5) == [2, 2]
    assert matrices.layers["0"].mask.tolist() == [[True, True, False, False]]
    assert matrices.layers["1"].mask.tolist() == [[False, True], [True, False]]


def test_equal_weights_stay_by_lowest_index() -> None:
    matrices = networks.matrices_of(torch.tensor([[1.0, -1.0, 1.0, 2.0]]))
    Magnitude().select(matrices, 0.75)
    assert matrices.layers["0"].mask.tolist() == [[True, True, False, True]]


def test_one_shot_masks_the_pretrained_weights_without_a_step(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    events = run_toy(sources, tmp_path / "work", method="magnitude", one_shot=True, max_steps=None, sparsity=0.8)
    kinds = [event.event for event in events]
    assert "step" not in kinds
    assert events[-1].metrics["steps"] == 0  # type: ignore[union-attr]
    assert events[-1].metrics["weights_changed"] is False  # type: ignore[union-attr]
    assert not (tmp_path / "work" / "artifacts" / "weights.safetensors").exists()
    stock = prunable_linears(load_model(locate_model("bert", None, sources), ("Yes",), "label-words").model)
    masks, _ = mask_file.read(tmp_path / "work" / "artifacts" / "mask.safetensors")
    for path, mask in masks.items():
        size = stock[path].weight.numel()
        assert torch.equal(torch.from_numpy(mask), top(stock[path].weight.abs(), int(0.2 * size + 1e-9)))
