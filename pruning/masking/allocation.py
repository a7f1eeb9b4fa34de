"""Allocation of the weights to keep among matrices: the same share of each, or shares by score mass (SMP-S), in whole numbers.

Pure functions on float64 numbers; called by :mod:`pruning.masking.methods` once per optimizer step, and by
:mod:`pruning.masking.layer_sparsity` where single matrices have a sparsity of their own. Torch-free.
"""

import math
from collections.abc import Sequence
from typing import Literal

Surplus = Literal["redistribute", "drop"]


def uniform(sizes: Sequence[int], remaining: float) -> list[int]:
    """SMP-L: floor(v n) of the n weights of every matrix."""
    return [math.floor(remaining * n) for n in sizes]


def by_mass(sizes: Sequence[int], masses: Sequence[float], remaining: float, surplus: Surplus) -> list[int]:
    """SMP-S, eq. 4: within one group of matrices, shares proportional to their mean sigmoid score.

    ``sizes`` and ``masses`` (mean σ(S/p) of each matrix) run over the matrices of the group. A share may come out above
    1. ``drop`` then keeps the matrix whole and loses the rest, floor by floor, as the reference code does;
    ``redistribute`` gives the rest to the others in proportion and ends at exactly floor(v Σn) ones.
    """
    if surplus == "drop":
        return _dropping(sizes, masses, remaining)
    return by_mass_within(sizes, masses, math.floor(remaining * sum(sizes)))


def by_mass_within(sizes: Sequence[int], masses: Sequence[float], budget: int) -> list[int]:
    """SMP-S with a given number of ones, at most Σn; surplus is redistributed."""
    return _rounded(_water_filled(sizes, masses, budget), sizes, budget)


def proportional(sizes: Sequence[int], budget: int) -> list[int]:
    """``budget`` ones, at most Σn, shared by size: floors, then one more for the largest remainders."""
    total = sum(sizes)
    return _rounded([budget * n / total for n in sizes], sizes, budget)


def group_pattern(path: str) -> str:
    """The group of a module path: ``encoder.layer.3.output.dense`` → ``encoder.layer.*.output.dense``."""
    return ".".join("*" if part.isdigit() else part for part in path.split("."))


def _dropping(sizes: Sequence[int], masses: Sequence[float], remaining: float) -> list[int]:
    total = sum(masses)
    counts = []
    for n, mass in zip(sizes, masses, strict=True):
        share = mass / total * (remaining * len(sizes)) if total > 0 else 0.0
        counts.append(min(n, math.floor((share if share > 0 else remaining) * n)))
    return counts


def _water_filled(sizes: Sequence[int], masses: Sequence[float], budget: int) -> list[float]:
    """Real-valued counts c n mass, capped at n, with c such that they add up to ``budget``."""
    counts = [0.0] * len(sizes)
    open_ = list(range(len(sizes)))
    left = float(budget)
    while open_:
        weight = sum(sizes[i] * masses[i] for i in open_)
        if weight <= 0:  # every mass underflowed: nothing to prefer
            weight, masses = float(sum(sizes[i] for i in open_)), [1.0] * len(sizes)
        full = [i for i in open_ if left * masses[i] >= weight]
        if not full:
            for i in open_:
                counts[i] = left * sizes[i] * masses[i] / weight
            break
        for i in full:
            counts[i] = float(sizes[i])
            left -= sizes[i]
        open_ = [i for i in open_ if i not in full]
    return counts


def _rounded(counts: Sequence[float], sizes: Sequence[int], budget: int) -> list[int]:
    """Whole counts with the given sum: floors, then one more for the largest remainders (ties: first matrix)."""
    whole = [min(n, max(0, math.floor(c))) for c, n in zip(counts, sizes, strict=True)]
    by_remainder = sorted(range(len(counts)), key=lambda i: (whole[i] - counts[i], i))
    missing = budget - sum(whole)
    while missing > 0:
        for i in by_remainder:
            if missing > 0 and whole[i] < sizes[i]:
                whole[i] += 1
                missing -= 1
    for i in reversed(by_remainder):  # floor of c + rounding noise may exceed the budget by a unit
        if missing < 0 and whole[i] > 0:
            whole[i] -= 1
            missing += 1
    return whole
