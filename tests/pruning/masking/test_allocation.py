"""Weights kept per matrix: hand-computed cases, laws that always hold, and the formulas transcribed naively."""

import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pruning.masking.allocation import by_mass, uniform

MASS = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 5e-324, 1e-300, 1e-16])
GROUPS = st.lists(st.tuples(st.integers(1, 5000), MASS), min_size=1, max_size=12)
SHARE = st.floats(0, 1) | st.sampled_from([0.0, 0.03, 0.1, 0.5, 1.0])


def test_uniform_shares_are_rounded_down() -> None:
    assert uniform([10, 15, 1], 0.5) == [5, 7, 0]
    assert uniform([8, 3], 1.0) == [8, 3]
    assert uniform([8, 3], 0.0) == [0, 0]


def test_masses_share_a_budget_in_proportion() -> None:
    assert by_mass([100, 100], [0.75, 0.25], 0.4, "redistribute") == [60, 20]
    assert by_mass([100, 100], [0.75, 0.25], 0.4, "drop") == [60, 20]


def test_surplus_of_a_full_matrix_goes_to_the_others_in_proportion() -> None:
    # 150 ones; 120 would go to the first matrix, which holds 100; the 50 left are shared 3 to 1, rounded by remainder
    assert by_mass([100, 100, 100], [0.8, 0.15, 0.05], 0.5, "redistribute") == [100, 38, 12]


def test_surplus_of_a_full_matrix_is_lost_under_drop() -> None:
    assert by_mass([100, 100, 100], [0.8, 0.15, 0.05], 0.5, "drop") == [100, 22, 7]


def test_filling_one_matrix_can_fill_another() -> None:
    # shares of 240: 144, 84, 12; the first overflows, and its surplus fills the second, too
    assert by_mass([100, 100, 100], [0.6, 0.35, 0.05], 0.8, "redistribute") == [100, 100, 40]


def test_the_largest_remainders_are_rounded_up_first_matrix_first() -> None:
    assert by_mass([10, 10, 10], [1.0, 1.0, 1.0], 0.5, "redistribute") == [5, 5, 5]
    assert by_mass([10, 10, 10], [1.0, 1.0, 1.0], 0.4667, "redistribute") == [5, 5, 4]


def test_matrices_of_different_sizes_share_by_size_and_mass() -> None:
    assert by_mass([100, 300], [0.5, 0.5], 0.5, "redistribute") == [50, 150]
    assert by_mass([100, 300], [0.6, 0.2], 0.25, "redistribute") == [50, 50]


@pytest.mark.parametrize("surplus", ["redistribute", "drop"])
def test_without_any_mass_the_share_is_uniform(surplus: str) -> None:
    assert by_mass([40, 80], [0.0, 0.0], 0.25, surplus) == [10, 20]  # type: ignore[arg-type]


def test_a_matrix_without_mass_gets_what_the_full_ones_cannot_take() -> None:
    assert by_mass([10, 10], [0.0, 1.0], 0.75, "redistribute") == [5, 10]
    assert by_mass([10, 10], [0.0, 1.0], 0.25, "redistribute") == [0, 5]


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(GROUPS, SHARE)
def test_redistributing_keeps_exactly_the_density_asked_for(group: Sequence[tuple[int, float]], share: float) -> None:
    sizes, masses = [n for n, _ in group], [mass for _, mass in group]
    counts = by_mass(sizes, masses, share, "redistribute")
    assert sum(counts) == math.floor(share * sum(sizes))
    assert all(0 <= count <= n for count, n in zip(counts, sizes, strict=True))


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 2000), st.lists(MASS, min_size=2, max_size=12), SHARE)
@example(1, [0.9999999999999999, 1.0, 1.0], 0.5)
def test_of_matrices_of_one_size_the_one_with_more_mass_never_keeps_less(n: int, masses: list[float], share: float) -> None:
    for surplus in ("redistribute", "drop"):
        counts = by_mass([n] * len(masses), masses, share, surplus)
        ranked = sorted(zip(masses, counts, strict=True))
        for (less, few), (more, many) in pairwise(ranked):
            # masses that differ by rounding alone may share alike, and then the first matrix keeps more; a share that underflows to
            # zero falls back to the uniform one, as in the reference code
            if less < more * (1 - 1e-12) and (surplus == "redistribute" or less > 1e-290):
                assert few <= many


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(GROUPS, SHARE)
def test_dropping_is_the_formula_of_the_reference_code(group: Sequence[tuple[int, float]], share: float) -> None:
    sizes, masses = [n for n, _ in group], [mass for _, mass in group]
    expected = []
    for n, mass in group:
        ratio = 0.0 if sum(masses) == 0 else mass / sum(masses) * (share * len(masses))  # r_l = rho_l / sum * (v L)
        if ratio <= 0:
            ratio = share
        expected.append(int(min(ratio, 1.0) * n))
    assert by_mass(sizes, masses, share, "drop") == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 20)), min_size=1, max_size=6), st.integers(0, 10))
def test_redistributing_is_within_one_of_pouring_weight_by_weight(group: list[tuple[int, int]], tenths: int) -> None:
    """Independent: bisect on the water level c of min(n, c n mass) instead of filling matrix by matrix."""
    sizes, masses = [n for n, _ in group], [mass / 20 for _, mass in group]
    if min(masses) == 0:
        return
    budget = math.floor(tenths / 10 * sum(sizes))
    low, high = 0.0, 1e3
    for _ in range(200):
        level = (low + high) / 2
        poured = sum(min(n, level * n * mass) for n, mass in zip(sizes, masses, strict=True))
        low, high = (level, high) if poured < budget else (low, level)
    counts = by_mass(sizes, masses, tenths / 10, "redistribute")
    for count, n, mass in zip(counts, sizes, masses, strict=True):
        assert abs(count - min(n, low * n * mass)) <= 1 + 1e-6
