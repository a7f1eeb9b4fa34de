"""The allocation of smp-s on a GPU, from the masses that Adam left there: no step waits for 72 numbers.

The counts are those of :func:`pruning.masking.allocation.by_mass` to the last one, given the same masses.
"""

from collections.abc import Sequence
from typing import Literal

import torch

from pruning.masking.kernels.triton.allocation_kernels import allocate
from pruning.masking.kernels.triton.chunk_table import ChunkTable, to_device_async


class MassAllocation:
    """Counts for groups of matrices of ``table``; ``groups`` are the numbers of their members, each matrix in one group."""

    def __init__(
        self, table: ChunkTable, groups: Sequence[Sequence[int]], surplus: Literal["redistribute", "drop"]
    ) -> None:
        device = table.device
        self._table, self._groups, self._drop = table, len(groups), surplus == "drop"
        self._width = 1 << max(map(len, groups)).bit_length()
        self._members = to_device_async([member for group in groups for member in group], torch.int32, device)
        self._firsts = to_device_async([sum(map(len, groups[:i])) for i in range(len(groups) + 1)], torch.int32, device)
        self.counts = torch.zeros(len(table.sizes), dtype=torch.int64, device=device)
        """int64 [matrices]: ones of each matrix, by the last :meth:`allocate`."""

    def allocate(self, masses: torch.Tensor, remaining: torch.Tensor) -> torch.Tensor:
        """``counts``, from mean σ(S/p) of each matrix, float64 [matrices], and the share to keep, float64 [1]."""
        allocate[(self._groups,)](
            masses, self._table.weights, self._members, self._firsts, remaining, self.counts, drop=self._drop,
            width=self._width, num_warps=1, enable_fp_fusion=False,
        )  # fmt: skip
        return self.counts
