"""Mask sizes on the GPU: the ones of each ranking, allocated on the device so that no step waits for the masses of scores.

Called by :mod:`pruning.training.gpu_pruner`. Importing this module imports Triton.
"""

from collections.abc import Sequence

import torch

from pruning.masking.kernels.triton.adam import ScoreUpdate
from pruning.masking.kernels.triton.allocation import MassAllocation
from pruning.masking.kernels.triton.chunk_table import ChunkTable
from pruning.masking.kernels.triton.transfers import to_device_async
from pruning.masking.methods.base import Ranking
from pruning.masking.wrap import Matrices


class MaskCounts:
    """Counts of ``ranking`` for ``matrices``; the masses of smp-s are those that ``score_update`` computes with the update."""

    def __init__(self, ranking: Ranking, matrices: Matrices, table: ChunkTable, score_update: ScoreUpdate) -> None:
        self._ranking, self._matrices, self._device, self._score_update = ranking, matrices, table.device, score_update
        self.temperatures: list[float | None] = [None] * len(matrices.layers)
        """Temperature of each matrix's mass; None where no mass is needed."""
        self._allocation: MassAllocation | None = None
        if ranking.mass_shares is not None:
            self.temperatures = [ranking.mass_shares.temperature] * len(matrices.layers)
            own = matrices.own
            groups = own.other_groups(matrices.groups) if own is not None else [*matrices.groups.values()]
            self._allocation = MassAllocation(table, _numbered(matrices, groups), ranking.mass_shares.surplus)
        self._measured: list[tuple[int, int]] = []
        """:meth:`_score_versions` when the masses were last computed."""

    def compute(self, remaining: float) -> torch.Tensor:
        """Ones of every ranking for the share ``remaining``, int64 on the device."""
        if self._allocation is not None:
            if self._score_versions() != self._measured:  # written elsewhere: by a prior, from a checkpoint
                self._score_update.compute_masses(self._scores(), self.temperatures)
                self.mark_masses_current()
            if self._matrices.own is not None:
                return self._allocation.allocate_within(self._score_update.masses, *self._shares(remaining))
            share = to_device_async([remaining], torch.float64, self._device)
            return self._allocation.allocate(self._score_update.masses, share)
        return to_device_async(self._ranking.counts(self._matrices, remaining), torch.int64, self._device)

    def _shares(self, remaining: float) -> tuple[torch.Tensor, torch.Tensor]:
        """With a sparsity of single matrices, int64 on the device: ones of each of them (0 of the others), and of each group's
        others. Neither depends on a mass."""
        matrices = self._matrices
        assert matrices.own is not None  # noqa: S101 - for the type checker: the caller has looked
        named, budgets = matrices.own.group_budgets(matrices.shapes, matrices.groups, remaining)
        counts = [named.get(path, 0) for path in matrices.layers]
        return (to_device_async(counts, torch.int64, self._device), to_device_async(budgets, torch.int64, self._device))

    def mark_masses_current(self) -> None:
        """Record an update that has computed the masses of the new scores."""
        self._measured = self._score_versions()

    def _scores(self) -> list[torch.Tensor]:
        return [layer.scores for layer in self._matrices.layers.values()]

    def _score_versions(self) -> list[tuple[int, int]]:
        """Address of each matrix's scores, and torch's count of the writes to them."""
        return [(scores.data_ptr(), scores._version) for scores in self._scores()]


def _numbered(matrices: Matrices, groups: Sequence[Sequence[str]]) -> list[list[int]]:
    """The matrices of each group, by number."""
    numbers = {path: i for i, path in enumerate(matrices.layers)}
    return [[numbers[path] for path in paths] for paths in groups]
