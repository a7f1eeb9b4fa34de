"""Triton allocation of smp-s: how many weights each matrix keeps, from the score masses that the update left on the GPU.

Called by :mod:`pruning.training.gpu_pruner`, so that no step waits for 72 numbers. Twin of
:func:`pruning.masking.allocation.by_mass`, operation for operation in float64: sums run over the matrices in their order, and
no product is fused with a sum, so the counts are the same, given the same masses.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import triton
import triton.language as tl

from pruning.masking.kernels.triton.chunk_table import ChunkTable
from pruning.masking.kernels.triton.transfers import to_device_async


class MassAllocation:
    """Counts for groups of matrices of ``table``; ``groups`` are the numbers of their members, each matrix in one group at most."""

    def __init__(self, table: ChunkTable, groups: Sequence[Sequence[int]], surplus: Literal["redistribute", "drop"]) -> None:
        device = table.device
        self._table, self._groups, self._drop = table, len(groups), surplus == "drop"
        self._width = 1 << max(map(len, groups), default=0).bit_length()
        self._members = to_device_async([member for group in groups for member in group], torch.int32, device)
        self._firsts = to_device_async([sum(map(len, groups[:i])) for i in range(len(groups) + 1)], torch.int32, device)
        self.counts = torch.zeros(len(table.sizes), dtype=torch.int64, device=device)
        """int64 [matrices]: ones of each matrix, by the last :meth:`allocate`."""

    def allocate(self, masses: torch.Tensor, remaining: torch.Tensor) -> torch.Tensor:
        """``counts``, from mean σ(S/p) of each matrix, float64 [matrices], and the share to keep, float64 [1]."""
        return self._launch(masses, remaining, within=False)

    def allocate_within(self, masses: torch.Tensor, fixed: torch.Tensor, budgets: torch.Tensor) -> torch.Tensor:
        """``counts`` where matrices of no group have the counts ``fixed``, int64 [matrices] (else 0), and each group shares its one
        of ``budgets``, int64 [groups]."""
        self.counts.copy_(fixed)
        return self._launch(masses, budgets, within=True) if self._groups else self.counts

    def _launch(self, masses: torch.Tensor, given: torch.Tensor, *, within: bool) -> torch.Tensor:
        allocate_groups[(self._groups,)](
            masses,
            self._table.weights,
            self._members,
            self._firsts,
            given,
            self.counts,
            drop=self._drop,
            within=within,
            width=self._width,
            num_warps=1,
            enable_fp_fusion=False,
        )
        return self.counts


@triton.jit
def in_order(values, lanes, count):
    """((v0 + v1) + v2) + ... of ``count`` lanes, as Python adds."""
    total = tl.sum(tl.where(lanes == 0, values, 0.0), axis=0)
    for i in range(1, count):
        total += tl.sum(tl.where(lanes == i, values, 0.0), axis=0)
    return total


@triton.jit
def dropped(sizes, masses, remaining, lanes, count):
    """Floors of v · members · mass / Σmass of the weights; a matrix is kept whole where that is more than all."""
    total = in_order(masses, lanes, count)
    fair = remaining * count.to(tl.float64)
    share = tl.where(total > 0, masses / total * fair, 0.0)
    return tl.minimum(sizes, tl.floor(tl.where(share > 0, share, remaining) * sizes))


@triton.jit
def filled(sizes, masses, budget, lanes, count):
    """c · n · mass, capped at n, with c such that they add up to ``budget``; not yet whole."""
    counts = tl.zeros_like(sizes)
    still = lanes < count
    left = budget
    rounds = count
    while rounds > 0:
        weight = in_order(tl.where(still, sizes * masses, 0.0), lanes, count)
        if weight <= 0:  # every mass underflowed
            weight = tl.sum(tl.where(still, sizes, 0.0), axis=0)
            masses = tl.where(lanes < count, 1.0, 0.0).to(tl.float64)
        full = still & (left * masses >= weight)
        filling = tl.sum(tl.where(full, 1, 0), axis=0)
        if filling == 0:
            counts = tl.where(still, left * sizes * masses / weight, counts)
            rounds = 0
        else:
            counts = tl.where(full, sizes, counts)
            left -= tl.sum(tl.where(full, sizes, 0.0), axis=0)
            still = still & (tl.where(full, 1, 0) == 0)
            rounds = tl.minimum(rounds - 1, tl.sum(tl.where(still, 1, 0), axis=0))
    return counts


@triton.jit
def rounded(counts, sizes, budget, lanes, count):
    """Floors, then one more for the largest remainders; of equal ones for the first matrix."""
    whole = tl.minimum(sizes, tl.maximum(0.0, tl.floor(counts)))
    remainder = whole - counts
    rank = tl.zeros_like(lanes)
    for i in range(count):
        other = tl.sum(tl.where(lanes == i, remainder, 0.0), axis=0)
        rank += tl.where((other < remainder) | ((other == remainder) & (i < lanes)), 1, 0)
    missing = (budget - tl.sum(tl.where(lanes < count, whole, 0.0), axis=0)).to(tl.int64)
    rounds = count
    while (missing > 0) & (rounds > 0):
        open_ = tl.where((lanes < count) & (whole < sizes), 1, 0)
        more = tl.where((open_ > 0) & (before(open_, rank, lanes, count) < missing), 1, 0)
        whole += more.to(tl.float64)
        missing -= tl.sum(more, axis=0).to(tl.int64)
        rounds -= 1
    if missing < 0:  # rounding noise may have put a floor too high
        open_ = tl.where((lanes < count) & (whole > 0), 1, 0)
        less = tl.where((open_ > 0) & (before(open_, count - rank, lanes, count) < -missing), 1, 0)
        whole -= less.to(tl.float64)
    return whole


@triton.jit
def before(open_, rank, lanes, count):
    """How many open lanes have a lower rank."""
    found = tl.zeros_like(lanes)
    for i in range(count):
        at = tl.sum(tl.where(lanes == i, rank, 0), axis=0)
        found += tl.where(at < rank, tl.sum(tl.where(lanes == i, open_, 0), axis=0), 0)
    return found


@triton.jit
def allocate_groups(masses, sizes, members, firsts, given, counts, drop: tl.constexpr, within: tl.constexpr, width: tl.constexpr):
    """How many weights each matrix of a group keeps; ``given``: the share of all, or ``within`` a budget of each group."""
    group = tl.program_id(0)
    first = tl.load(firsts + group)
    count = tl.load(firsts + group + 1) - first
    lanes = tl.arange(0, width)
    member = tl.load(members + first + lanes, mask=lanes < count, other=0)
    mass = tl.load(masses + member, mask=lanes < count, other=0.0)
    size = tl.load(sizes + member, mask=lanes < count, other=0).to(tl.float64)
    if drop:
        whole = dropped(size, mass, tl.load(given), lanes, count)
    else:
        budget = tl.load(given + group).to(tl.float64) if within else tl.floor(tl.load(given) * tl.sum(size, axis=0))
        whole = rounded(filled(size, mass, budget, lanes, count), size, budget, lanes, count)
    tl.store(counts + member, whole.to(tl.int64), mask=lanes < count)
