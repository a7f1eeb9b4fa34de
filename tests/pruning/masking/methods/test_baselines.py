"""Magnitude pruning, gradual against plain autograd and at once; and the random mask, which depends on the seed alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pruning.formats import mask_file
from pruning.masking.methods.baselines import Magnitude, RandomMask
from pruning.masking.wrap import prunable_linears
from pruning.models.loading import load_model, locate_model
from tests.pruning.masking.methods import networks, reference
from tests.pruning.masking.methods.reference import Reference, cubic, top
from tests.pruning.runs import finished, make_sources, run_toy


@pytest.mark.parametrize("loss_scale", [1.0, 80.0])
def test_gradual_pruning_is_that_of_plain_autograd(loss_scale: float) -> None:
    steps = iter(range(reference.STEPS))

    def gates(_scores: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        v = cubic(next(steps), 0.6, 1.0, 0.25)
        return [top(w.abs(), int(v * w.numel() + 1e-12)).double() for w in weights]

    expected = Reference(gates, torch.zeros_like, 0.0, 3e-2, 0.0, trains_scores=False, loss_scale=loss_scale)
    spec = networks.spec_of("magnitude", sparsity=0.75, weight_learning_rate=3e-2)
    networks.compare_step_by_step(networks.pruner_of(spec, loss_scale=loss_scale), expected)


def test_the_largest_weights_of_each_matrix_stay_with_any_sign_and_scores() -> None:
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
    assert finished(events)["steps"] == 0
    assert finished(events)["weights_changed"] is False
    assert not (tmp_path / "work" / "artifacts" / "weights.safetensors").exists()
    stock = prunable_linears(load_model(locate_model("bert", None, sources), ("Yes",), "label-words").model)
    masks, _ = mask_file.read(tmp_path / "work" / "artifacts" / "mask.safetensors")
    for path, mask in masks.items():
        size = stock[path].weight.numel()
        assert torch.equal(torch.from_numpy(mask), top(stock[path].weight.abs(), int(0.2 * size + 1e-9)))


SHAPES = ((40, 30), (20, 70))


def masks_of(seed: int, *shares: float) -> list[list[torch.Tensor]]:
    matrices = networks.matrices_of(*(torch.ones(shape) for shape in SHAPES))
    method = RandomMask(seed)
    method.initialize(matrices, networks.no_rows())
    found = []
    for share in shares:
        assert method.select(matrices, share) == [int(share * rows * columns) for rows, columns in SHAPES]
        found.append([mask.clone() for mask in matrices.masks.values()])
    return found


def test_the_seed_decides_after_any_earlier_draw() -> None:
    torch.manual_seed(1)
    first = masks_of(5, 0.3)[0]
    torch.rand(17)
    assert all(torch.equal(a, b) for a, b in zip(first, masks_of(5, 0.3)[0], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, masks_of(6, 0.3)[0], strict=True))


def test_a_smaller_share_is_part_of_a_larger_one() -> None:
    small, middle, large = masks_of(0, 0.1, 0.5, 0.9)
    for a, b, c in zip(small, middle, large, strict=True):
        assert not (a & ~b).any()
        assert not (b & ~c).any()


def test_every_place_is_as_likely_as_any_other() -> None:
    hits = torch.stack([masks_of(seed, 0.5)[0][0] for seed in range(200)]).double().mean(0)
    assert abs(float(hits.mean()) - 0.5) < 1e-9
    assert float(hits.std()) < 0.05  # 0.035 is chance
    assert float(hits.mean(0).std()) < 0.02
    assert float(hits.mean(1).std()) < 0.02


def test_a_run_needs_no_step_and_is_the_same_again(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    masks = []
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        events = run_toy(sources, tmp_path / name, method="random", max_steps=None, sparsity=0.7, seed=seed)
        assert finished(events)["steps"] == 0
        masks.append(mask_file.read(tmp_path / name / "artifacts" / "mask.safetensors")[0])
    one, again, two = masks
    assert all(np.array_equal(one[path], again[path]) for path in one)
    assert not any(np.array_equal(one[path], two[path]) for path in one)
