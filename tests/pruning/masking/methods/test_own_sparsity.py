"""Matrices with a sparsity of their own under each method: exact counts, the largest scores stay, the others share the rest."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pruning.errors import PermanentError
from pruning.masking.layer_sparsity import layer_sparsity, scheduled_count
from pruning.masking.methods.registry import create_method
from pruning.masking.topk import top_k_in_rows
from pruning.masking.wrap import Matrices
from pruning.spec.methods import METHODS
from tests.pruning.masking.methods import networks, reference

SHAPES = ((20, 30), (30, 20), (10, 10), (16, 40))
BY = {"0": 0.0, "2": 0.85}
"""Sparsity of the matrices 0 and 2; 1 and 3 share the rest. All four are one group."""
ASKED = [name for name, info in METHODS.items() if info.counted_by is not None]


def matrices_for(spec: Any, *, seed: int = 0) -> Matrices:
    """With scores drawn at random, and a sparsity of single matrices."""
    matrices = networks.matrices_of(*(reference.draw(*shape, seed=seed + i).float() for i, shape in enumerate(SHAPES)))
    networks.set_scores(matrices, [reference.draw(*shape, seed=seed + 10 + i).float() for i, shape in enumerate(SHAPES)])
    return replace(matrices, own=layer_sparsity(spec, matrices.shapes))


def largest(values: Tensor, count: int) -> Tensor:
    mask = torch.zeros(values.numel(), dtype=torch.bool)
    mask[torch.sort(values.flatten(), descending=True, stable=True).indices[:count]] = True
    return mask.view_as(values)


@pytest.mark.parametrize("method", ASKED)
def test_named_matrices_keep_exactly_their_share_and_all_together_the_overall_count(method: str) -> None:
    spec = networks.spec_of(method, sparsity=0.6, sparsity_by=BY)
    matrices, selecting, by = matrices_for(spec), create_method(spec), spec.method_info.counted_by
    assert by is not None
    for v in (1.0, 0.7, spec.remaining):
        counts = selecting.select(matrices, v, final=v == spec.remaining)
        assert counts == [int(mask.sum()) for mask in matrices.masks.values()]
        own = round(1 - 0.85 * (1 - v) / 0.6, 12)
        assert (counts[0], counts[2]) == (600, 10 * math.floor(own * 10) if by == "row" else math.floor(own * 100))
        assert sum(counts) == scheduled_count(matrices.shapes, v, by)
    if by == "model":
        return
    share = (sum(counts) - counts[0] - counts[2]) / (600 + 640)
    if method != "smp-s":  # which shares by mass
        assert abs(counts[1] - 600 * share) < 1 > abs(counts[3] - 640 * share)


@pytest.mark.parametrize("method", ["smp-s", "smp-l", "smp-g", "movement"])
def test_within_a_matrix_the_largest_scores_stay(method: str) -> None:
    spec = networks.spec_of(method, sparsity=0.6, sparsity_by=BY)
    matrices = matrices_for(spec)
    counts = create_method(spec).select(matrices, spec.remaining)
    for layer, count in zip(matrices.layers.values(), counts, strict=True):
        assert torch.equal(layer.mask, largest(layer.scores, count))


def test_one_ranking_over_the_others_of_smp_g() -> None:
    spec = networks.spec_of("smp-g", sparsity=0.6, sparsity_by=BY)
    matrices = matrices_for(spec)
    counts = create_method(spec).select(matrices, spec.remaining)
    others = [matrices.layers[name] for name in ("1", "3")]
    joint = largest(torch.cat([layer.scores.flatten() for layer in others]), counts[1] + counts[3])
    assert torch.equal(torch.cat([layer.mask.flatten() for layer in others]), joint)


def test_matrices_with_more_mass_keep_more_of_what_is_left() -> None:
    spec = networks.spec_of("smp-s", sparsity=0.6, sparsity_by=BY)
    matrices = matrices_for(spec)
    matrices.layers["3"].scores.add_(3.0)
    before, after = matrices_for(spec), matrices
    counts, shifted = (create_method(spec).select(each, spec.remaining) for each in (before, after))
    assert shifted[3] > counts[3]
    assert [shifted[i] for i in (0, 2)] == [counts[i] for i in (0, 2)]
    assert sum(shifted) == sum(counts)


def test_rows_keep_as_many_or_one_more_where_the_next_value_is_largest() -> None:
    values = torch.tensor([[5.0, 1.0, 4.0], [9.0, 8.0, 7.0], [3.0, 3.0, 3.0]])
    assert top_k_in_rows(values, 5).tolist() == [[True, False, True], [True, True, False], [True, False, False]]
    assert top_k_in_rows(values, 3).tolist() == [[True, False, False]] * 3
    assert top_k_in_rows(values, 9).all()
    assert not top_k_in_rows(values, 0).any()


@pytest.mark.parametrize("method", ["smp-s", "magnitude", "wanda"])
def test_two_four_leaves_a_matrix_dense_and_makes_the_others_two_four(method: str) -> None:
    spec = networks.spec_of(method, pattern="2:4", sparsity_by={"0": 0.0, "1": 0.5, "2": 0.0})
    matrices, selecting = matrices_for(spec), create_method(replace_prior(spec))
    selecting.initialize(matrices, networks.no_rows())  # matrix 2 has rows of ten weights, which stays dense
    assert selecting.select(matrices, 0.5) == [600, 300, 100, 320]
    assert matrices.layers["0"].mask.all()
    assert (matrices.layers["1"].mask.view(-1, 4).sum(1) == 2).all()
    with pytest.raises(PermanentError):
        create_method(replace_prior(spec)).initialize(replace(matrices, own=None), networks.no_rows())


def replace_prior(spec: Any) -> Any:
    """Without the prior, which needs rows."""
    return spec.model_copy(update={"prior": None})


@pytest.mark.parametrize("method", ASKED)
def test_naming_every_matrix_with_the_overall_sparsity_changes_no_share_by_more_than_rounding(method: str) -> None:
    spec = networks.spec_of(method, sparsity=0.9, sparsity_by={"*": 0.9})
    matrices = matrices_for(spec)
    counts = create_method(spec).select(matrices, spec.remaining)
    if spec.method_info.counted_by == "row":
        assert counts == [20 * 3, 30 * 2, 10 * 1, 16 * 4]
    else:
        assert counts == [60, 60, 10, 64]
