"""SMP-G: one ranking over all matrices, exactly that of a stable sort of all scores in a row."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pruning.formats import mask_file
from pruning.masking.methods.smp import SmpG
from tests.pruning.masking.methods import networks, reference
from tests.pruning.runs import make_sources, run_toy

SHAPES = ((5, 7), (3, 4), (1, 1), (8, 2))
TOTAL = sum(rows * columns for rows, columns in SHAPES)


def expected_masks(scores: list[Tensor], remaining: float) -> list[Tensor]:
    """Stable descending sort of the scores of all matrices, one after the other."""
    flat = torch.cat([values.flatten() for values in scores])
    mask = torch.zeros(flat.numel(), dtype=torch.bool)
    mask[torch.sort(flat, descending=True, stable=True).indices[: math.floor(remaining * flat.numel())]] = True
    parts = mask.split([values.numel() for values in scores])
    return [part.view_as(values) for part, values in zip(parts, scores, strict=True)]


@given(levels=st.integers(1, 6), shares=st.lists(st.floats(0, 1), min_size=1, max_size=6), seed=st.integers(0, 2**20))
@settings(max_examples=60, deadline=None)
def test_masks_are_those_of_a_stable_sort_over_all_matrices_with_ties_across_them(
    levels: int, shares: list[float], seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    matrices = networks.matrices_of(*(torch.ones(shape) for shape in SHAPES))
    method = SmpG()
    for share in shares:  # one after the other, so that the memory of the last threshold takes part
        scores = [torch.randint(levels, shape, generator=random).float() - 1 for shape in SHAPES]
        networks.set_scores(matrices, scores)
        counts = method.select(matrices, share)
        expected = expected_masks(scores, share)
        assert counts == [int(mask.sum()) for mask in expected]
        assert sum(counts) == math.floor(share * TOTAL)
        for mask, wanted in zip(matrices.masks.values(), expected, strict=True):
            assert torch.equal(mask, wanted)


def test_masks_follow_scores_that_drift() -> None:
    matrices = networks.matrices_of(torch.ones(40, 50), torch.ones(30, 20))
    scores = [reference.draw(40, 50, seed=3).float(), reference.draw(30, 20, seed=4).float() - 0.5]
    method = SmpG()
    for t in range(30):
        scores = [values + 0.02 * reference.draw(*values.shape, seed=50 + t).float() for values in scores]
        networks.set_scores(matrices, scores)
        method.select(matrices, 0.1)
        for mask, wanted in zip(matrices.masks.values(), expected_masks(scores, 0.1), strict=True):
            assert torch.equal(mask, wanted)


def test_of_equal_scores_those_of_the_earlier_matrix_stay() -> None:
    matrices = networks.matrices_of(torch.ones(2, 4), torch.ones(2, 4))
    assert SmpG().select(matrices, 0.5) == [8, 0]
    assert SmpG().select(matrices, 0.75) == [8, 4]
    assert matrices.layers["1"].mask.tolist() == [[True] * 4, [False] * 4]


def test_a_matrix_of_low_scores_may_be_emptied() -> None:
    matrices = networks.matrices_of(torch.ones(2, 4), torch.ones(2, 4))
    networks.set_scores(matrices, [torch.full((2, 4), -1.0), torch.full((2, 4), 1.0)])
    assert SmpG().select(matrices, 0.5) == [0, 8]


@pytest.mark.parametrize("sparsity", [0.9, 0.333])
def test_a_run_keeps_exactly_the_share_of_all_weights_and_divides_it_unevenly(tmp_path: Path, sparsity: float) -> None:
    sources = make_sources(tmp_path / "toys")
    run_toy(sources, tmp_path / "work", method="smp-g", sparsity=sparsity, max_steps=20)
    masks, _ = mask_file.read(tmp_path / "work" / "artifacts" / "mask.safetensors")
    total = sum(mask.size for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == math.floor(round(1 - sparsity, 12) * total)
    assert len({round(float(mask.mean()), 3) for mask in masks.values()}) > len(masks) // 2
