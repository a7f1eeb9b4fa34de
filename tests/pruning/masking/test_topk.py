"""The k largest scores, lowest index first among equals: against torch's full stable sort, over scores that drift."""

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pruning.masking.topk import top_k_mask, top_k_masks, top_k_masks_on_device, top_k_of_rows
from pruning.masking.topk_state import ThresholdState

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # infinities and overflow are asked for here

Floats = npt.NDArray[np.floating]
SPECIAL = (0.0, -0.0, 5e-324, -5e-324, 1e-45, -1e-45, 1e-40, np.inf, -np.inf, 1.0, -1.0, 0.02, -0.02, 3e38, -3e38)


def by_sorting(scores: torch.Tensor, k: int) -> torch.Tensor:
    """The definition: a stable descending sort of everything, and the first k of it."""
    order = torch.sort(scores.reshape(-1), stable=True, descending=True).indices
    mask = torch.zeros(scores.numel(), dtype=torch.bool)
    mask[order[:k]] = True
    return mask.view(scores.shape)


@st.composite
def _drifting(draw: st.DrawFn) -> list[tuple[Floats, int]]:
    """A matrix of scores at several moments of a run, each with its k."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["normal", "equal", "quantised", "special", "tiny"]))
    start: Callable[[], Floats] = {
        "normal": lambda: random.standard_normal(shape),
        "equal": lambda: np.full(shape, random.choice([0.0, -0.0, -0.02])),
        "quantised": lambda: np.round(random.standard_normal(shape), 1),
        "special": lambda: random.choice(SPECIAL, shape),
        "tiny": lambda: random.integers(-3, 4, shape) * 5e-324,
    }[kind]
    scores = start()
    moments: list[tuple[Floats, int]] = []
    for _ in range(draw(st.integers(1, 6))):
        with np.errstate(over="ignore", under="ignore"):
            moments.append((scores.astype(dtype), draw(st.integers(0, scores.size))))
        match draw(st.sampled_from(["still", "drift", "jump", "sparse"])):
            case "drift":
                scores = scores + 1e-3 * random.standard_normal(shape)
            case "jump":
                scores = start() * 100
            case "sparse":
                scores = np.where(random.random(shape) < 0.1, random.choice(SPECIAL, shape), scores)
    return moments


@settings(max_examples=400, deadline=None)
@given(_drifting())
def test_masks_equal_a_full_stable_sort_after_any_earlier_selection(moments: Sequence[tuple[Floats, int]]) -> None:
    state = ThresholdState()
    for array, k in moments:
        scores = torch.from_numpy(array)
        expected = by_sorting(scores, k)
        got = top_k_mask(scores, k, state)
        assert got.shape == scores.shape
        assert got.dtype == torch.bool
        assert torch.equal(got, expected)
        if k > 0:
            assert torch.equal(top_k_masks_on_device([scores], k)[0], expected)


@settings(max_examples=150, deadline=None)
@given(_drifting(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_one_ranking_over_several_tensors_is_that_of_all_their_scores_in_a_row(
    moments: Sequence[tuple[Floats, int]], parts: int, random: Random
) -> None:
    state = ThresholdState()
    cuts = sorted(random.randint(0, moments[0][0].size) for _ in range(parts - 1))
    for array, k in moments:
        whole = torch.from_numpy(array.reshape(-1))
        tensors = list(torch.tensor_split(whole, cuts))
        expected = by_sorting(whole, k)
        assert torch.equal(torch.cat(top_k_masks(tensors, k, state)), expected)
        if k > 0:
            assert torch.equal(torch.cat(top_k_masks_on_device(tensors, k)), expected)


def test_of_equal_scores_those_of_the_earlier_tensor_come_first() -> None:
    first, second = top_k_masks([torch.zeros(2, 2), torch.zeros(3)], 5, ThresholdState())
    assert first.tolist() == [[True, True], [True, True]]
    assert second.tolist() == [True, False, False]


@pytest.mark.parametrize("group", [None, 4])
def test_the_largest_of_every_row_or_of_every_few_neighbours_are_chosen(group: int | None) -> None:
    values = torch.round(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)), decimals=1)
    got = top_k_of_rows(values, 2, group)
    rows = values.reshape(-1, group or 8)
    assert torch.equal(got.reshape(rows.shape), torch.stack([by_sorting(row, 2) for row in rows]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_that_drift_are_selected_without_another_partial_sort(dtype: torch.dtype) -> None:
    random = torch.Generator().manual_seed(5)
    scores = torch.randn(60, 50, generator=random, dtype=dtype)
    state = ThresholdState()
    for t in range(60):
        k = int(3000 * (0.1 + 0.9 * (1 - t / 60) ** 3)) - 1
        assert torch.equal(top_k_mask(scores, k, state), by_sorting(scores, k))
        scores += 2e-3 * torch.randn(scores.shape, generator=random, dtype=dtype)
    assert 1 <= state.cold_selections <= 6


def test_scores_that_jump_are_selected_cold() -> None:
    state = ThresholdState()
    for t in range(4):
        scores = torch.randn(200, generator=torch.Generator().manual_seed(t)) + 1e4 * t
        assert torch.equal(top_k_mask(scores, 50, state), by_sorting(scores, 50))
    assert state.cold_selections == 4


def test_scores_that_all_moved_onto_one_value_are_cut_by_index() -> None:
    state = ThresholdState()
    top_k_mask(torch.randn(100, generator=torch.Generator().manual_seed(0)), 50, state)
    for _ in range(2):
        assert top_k_mask(torch.zeros(100), 30, state).nonzero().flatten().tolist() == list(range(30))


def test_negative_and_positive_zero_are_equal() -> None:
    scores = torch.tensor([-0.0, 0.0, -0.0, 0.0, -1.0])
    assert top_k_mask(scores, 2, ThresholdState()).tolist() == [True, True, False, False, False]


def test_the_scores_are_left_as_they_were_and_need_not_be_contiguous() -> None:
    scores = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    before = scores.clone()
    assert torch.equal(top_k_mask(scores.t(), 11, ThresholdState()), by_sorting(scores.t().contiguous(), 11))
    assert torch.equal(scores, before)


@pytest.mark.parametrize("k", [-1, 5])
def test_a_count_that_no_mask_can_have_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=f"k = {k}"):
        top_k_mask(torch.zeros(4), k, ThresholdState())


def test_a_score_that_is_not_a_number_is_refused_cold() -> None:
    with pytest.raises(ValueError, match="NaN"):
        top_k_mask(torch.tensor([1.0, float("nan"), 0.0]), 1, ThresholdState())


def test_a_score_that_is_not_a_number_is_refused_warm() -> None:
    state = ThresholdState()
    scores = torch.randn(50, generator=torch.Generator().manual_seed(0))
    top_k_mask(scores, 20, state)
    scores[7] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        top_k_mask(scores, 20, state)
