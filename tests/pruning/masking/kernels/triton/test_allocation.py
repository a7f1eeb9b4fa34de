"""The allocation of a GPU gives the counts of pruning.masking.allocation, each one."""

import random

import pytest
import torch

from pruning.masking import allocation
from pruning.masking.kernels.triton.allocation import MassAllocation
from pruning.masking.kernels.triton.chunk_table import ChunkTable

CPU = torch.device("cpu")
KINDS = {
    "any": lambda rng: rng.random(),
    "equal": lambda rng: 0.5,
    "two values": lambda rng: rng.choice([0.25, 0.5]),
    "far apart": lambda rng: 10 ** rng.uniform(-12, 0),
    "vanishing": lambda rng: rng.choice([0.0, 1e-320, 0.3]),
    "none": lambda rng: 0.0,
}


@pytest.mark.parametrize("surplus", ["redistribute", "drop"])
@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_those_of_the_allocation(kind: str, surplus: allocation.Surplus) -> None:
    rng = random.Random(kind)
    for members in (1, 7):
        groups = [range(i, 3 * members, 3) for i in range(3)]
        sizes = [rng.choice([7, 64, 589824, rng.randint(1, 99999)]) for _ in range(3 * members)]
        table = ChunkTable(sizes, CPU)
        for v in (0.0, 0.03, 1 / 3, rng.random(), 1.0):
            masses = [KINDS[kind](rng) for _ in sizes]
            found = MassAllocation(table, groups, surplus).allocate(
                torch.tensor(masses, dtype=torch.float64), torch.tensor([v], dtype=torch.float64)
            )
            for group in groups:
                of_group = [sizes[i] for i in group], [masses[i] for i in group]
                assert found[list(group)].tolist() == allocation.by_mass(*of_group, v, surplus), (v, of_group)


def test_groups_share_the_budgets_that_matrices_of_their_own_leave() -> None:
    rng = random.Random(5)
    groups, fixed = [[0, 3], [4]], torch.tensor([0, 11, 7, 0, 0])
    table = ChunkTable(sizes := [640, 64, 7, 99, 1000], CPU)
    shared = MassAllocation(table, groups, "redistribute")
    for budgets in ([0, 0], [739, 1000], [100, 17], [500, 999]):
        masses = [rng.random() for _ in sizes]
        found = shared.allocate_within(torch.tensor(masses, dtype=torch.float64), fixed, torch.tensor(budgets)).tolist()
        assert found[1:3] == [11, 7]
        for group, budget in zip(groups, budgets, strict=True):
            expected = allocation.by_mass_within([sizes[i] for i in group], [masses[i] for i in group], budget)
            assert [found[i] for i in group] == expected
    empty = MassAllocation(table, [], "redistribute")
    counts = torch.tensor(sizes)
    assert empty.allocate_within(torch.ones(5, dtype=torch.float64), counts, torch.zeros(0, dtype=torch.int64)).tolist() == sizes
