"""Top-k selection of a GPU against a stable sort: the same masks to the last bit, for any scores and memory layout."""

import math

import pytest
import torch

from pruning.masking.bits import count_ones, unpack_tensor_lsb_first
from pruning.masking.kernels.triton.chunk_table import ChunkTable
from pruning.masking.kernels.triton.topk import SelectionState, TopKSelection

SIZES = (271, 35, 3, 128)
"""Several chunks, less than a byte's worth over, less than a byte, a whole number of chunks."""
CPU = torch.device("cpu")
Tensors = list[torch.Tensor]


def table_of(sizes: tuple[int, ...] = SIZES) -> ChunkTable:
    return ChunkTable(sizes, CPU, chunk=128, tile=64)


def normal(seed: int = 0, sizes: tuple[int, ...] = SIZES) -> Tensors:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(size, generator=random) for size in sizes]


def sorted_masks(scores: Tensors, k: int) -> Tensors:
    order = torch.sort(torch.cat(scores) + 0.0, descending=True, stable=True).indices
    mask = torch.zeros(order.shape, dtype=torch.bool)
    mask[order[:k]] = True
    return list(mask.split([tensor.numel() for tensor in scores]))


def require_exact(selection: TopKSelection, scores: Tensors, share: float, *, together: bool) -> None:
    """Select, and compare masks, ones and both kinds of masked weights."""
    base = normal(9, tuple(tensor.numel() for tensor in scores))
    base[0][0] = -0.0
    weights, halves = [torch.ones_like(w) for w in base], [torch.ones_like(w, dtype=torch.bfloat16) for w in base]
    rankings = [scores] if together else [[tensor] for tensor in scores]
    counts = [math.floor(share * sum(tensor.numel() for tensor in ranking)) for ranking in rankings]
    selection.select(scores, torch.tensor(counts), base, weights, halves)
    expected = [mask for ranking, k in zip(rankings, counts, strict=True) for mask in sorted_masks(ranking, k)]
    assert selection.state[SelectionState.FAULT].tolist() == [0] * len(counts)
    assert selection.kept.tolist() == [int(mask.sum()) for mask in expected]
    for packed, mask, w, weight, half in zip(selection.masks, expected, base, weights, halves, strict=True):
        assert torch.equal(unpack_tensor_lsb_first(packed, mask.shape), mask)
        assert count_ones(packed) == int(mask.sum())
        assert torch.equal(weight.view(torch.int32), (w * mask).view(torch.int32)), "bits, signs of zero too"
        assert torch.equal(half.view(torch.int16), (w * mask).bfloat16().view(torch.int16))


@pytest.mark.parametrize("together", [False, True])
def test_masks_of_drifting_scores_are_those_of_a_stable_sort_and_mostly_found_warm(together: bool) -> None:
    scores, steps = normal(), 5
    selection = TopKSelection(table_of(), together=together)
    for t in range(steps):
        for tensor, noise in zip(scores, normal(t + 1), strict=True):
            tensor.add_(noise, alpha=0.01).sub_(0.002)
        require_exact(selection, scores, 0.3 - 0.004 * t, together=together)
    assert int(selection.state[SelectionState.COLD][0]) <= 3, "the first two know of no movement"


@pytest.mark.parametrize(
    ("kind", "share"),
    [
        ("quantised", 0.0),
        ("quantised", 0.03),
        ("quantised", 1.0),
        ("equal", 0.5),
        ("tiny", 0.4),
        ("endless", 0.1),
        ("endless", 0.9),
    ],
)
def test_equal_tiny_and_infinite_scores(kind: str, share: float) -> None:
    scores = normal()
    for tensor in scores:
        if kind == "quantised":
            tensor.copy_(torch.round(tensor, decimals=1))
        if kind == "equal":
            tensor.fill_(-0.0)[::3] = 0.0
        if kind == "tiny":
            tensor.copy_(torch.round(tensor * 3) * 1e-45)
        if kind == "endless":
            tensor[::2], tensor[1::5] = math.inf, -math.inf
    selection = TopKSelection(table_of())
    for _ in range(2):  # cold, and with what that has left behind
        require_exact(selection, scores, share, together=False)
    require_exact(TopKSelection(table_of(), together=True), scores, share, together=True)


def test_a_leap_and_a_change_of_share_miss_the_bracket_and_not_the_mask() -> None:
    scores, selection = normal(), TopKSelection(table_of())
    for share, leap in ((0.5, 0.0), (0.5, 1e-3), (0.5, 1e-3), (0.1, 50.0), (0.9, -200.0)):
        for tensor in scores:
            tensor.add_(leap)
        require_exact(selection, scores, share, together=False)
    assert int(selection.state[SelectionState.COLD][0]) >= 4


def test_sizes_of_whole_sixteens_are_read_differently_and_selected_the_same() -> None:
    sizes = (272, 16, 128)
    scores, selection = normal(sizes=sizes), TopKSelection(table_of(sizes))
    assert selection.table.whole
    for _ in range(3):
        require_exact(selection, scores, 0.4, together=False)


@pytest.mark.parametrize("warm", [False, True])
def test_a_score_that_is_not_a_number_is_reported_and_nothing_written(warm: bool) -> None:
    scores, selection = normal(), TopKSelection(table_of())
    for _ in range(3 * warm):
        require_exact(selection, scores, 0.4, together=False)
    masks = [mask.clone() for mask in selection.masks]
    scores[0][270], weights = math.nan, [torch.ones_like(tensor) for tensor in scores]
    selection.select(scores, torch.tensor([200, 5, 1, 100]), normal(9), weights)
    assert selection.state[SelectionState.FAULT].tolist() == [1, 0, 0, 0]
    assert torch.equal(selection.masks[0], masks[0])
    assert torch.equal(weights[0], torch.ones(271))
    assert int(unpack_tensor_lsb_first(selection.masks[3], scores[3].shape).sum()) == 100


def test_a_count_that_no_mask_has_is_reported() -> None:
    selection = TopKSelection(table_of())
    selection.select(normal(), torch.tensor([-1, 36, 3, 0]))
    assert selection.state[SelectionState.FAULT].tolist() == [2, 2, 0, 0]
    assert int(unpack_tensor_lsb_first(selection.masks[2], torch.Size([3])).sum()) == 3
