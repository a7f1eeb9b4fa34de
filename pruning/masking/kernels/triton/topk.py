"""Launches of exact top-k selection on a GPU: masks of exactly k ones and W ⊙ M, k read from the device, without waiting.

A mask is that of a stable descending sort (:mod:`pruning.masking.topk`). The launches are always the same; programs that have
nothing to do return at once:

    count_above       reads S                        where a bracket around the last threshold is known
    check_bracket     a few numbers a ranking        is the k-th score among the candidates in the bracket?
    count_digits × 4  reads candidates, or S         8-bit radix: how many keys have which next digit
    choose_digit × 4  256 numbers a ranking          the digit of the k-th key; after the last one the next bracket
    count_ties        reads S                        only of rankings that keep some of the equal scores at the threshold
    write             reads S, W; writes W ⊙ M, bits

The bracket lies around the last threshold, moved on as it moved before. In a simulation of 300 steps from equal scores by Adam
with a falling share, 8 of 300 selections missed it (most at first, when the scores are as close as one step is long) and 1.2 %
of the scores lay inside; around the last threshold itself, twice as wide as it had moved, 32 selections missed it and 4 % lay
inside.

So a warm selection reads S twice (8 bytes a weight) and a cold one six times, where a sort moves some 64 bytes a weight and a
radix selection alone reads S four times before it can write. A bracket costs one pass and not two because the scores inside are
stored while they are counted; a matrix that missed its bracket is searched from the start while the others are not. Counting
needs no k: the pass over S that counts could be that of Adam.
"""

from collections.abc import Sequence
from enum import IntEnum

import torch

from pruning.masking.kernels.triton import adam_kernels
from pruning.masking.kernels.triton import topk_kernels as programs
from pruning.masking.kernels.triton.chunk_table import ALIGNMENT, ChunkTable, PointerArray
from pruning.masking.kernels.triton.transfers import to_device_async

_BRACKET_SHARE = 8
"""A bracket may hold one weight in so many of a ranking; a fuller one is not used."""
_LANES = 128
Tensors = Sequence[torch.Tensor]


class SelectionState(IntEnum):
    """Rows of a selection's state, int64 [rows, rankings] on the device."""

    LOW = 0
    HIGH = 1
    """Keys of the ends of the bracket."""
    ABOVE = 2
    INSIDE = 3
    """Number of scores above the bracket; and inside."""
    WARM = 4
    """1 where the candidates are enough."""
    LEFT = 5
    """How many of the searched scores are still to be kept; in the end, of the scores at the threshold."""
    PREFIX = 6
    """The known digits of the k-th key; in the end the key."""
    TIES = 7
    """Scores at the threshold."""
    NAN = 8
    FAULT = 9
    """1: a score was NaN; 2: a count that no mask has. Permanent: after it nothing is written."""
    COLD = 10
    """How many selections the bracket did not help."""
    KNOWN = 11


class TopKSelection:
    """Selects the largest scores of every matrix of ``table``, or ``together`` those of all, again and again.

    ``masks`` are uint8 [ceil(weights / 8)] for each matrix, lowest bit first; ``kept`` int64 [matrices] are their ones; ``state``
    has the brackets, which save time and do not affect the masks, and ``FAULT`` for the host to read.
    """

    def __init__(self, table: ChunkTable, *, together: bool = False) -> None:
        self.table, device = table, table.device
        sizes = [sum(table.sizes)] if together else list(table.sizes)
        capacities = [-(-size // (_BRACKET_SHARE * ALIGNMENT)) * ALIGNMENT for size in sizes]
        self._rankings = len(sizes)
        self._ranking_of = torch.zeros_like(table.matrix) if together else table.matrix
        self._firsts = to_device_async([0] if together else table.firsts[:-1], torch.int32, device)
        self._totals = to_device_async(sizes, torch.int64, device)
        self._capacities = to_device_async(capacities, torch.int64, device)
        self._candidates = torch.zeros(sum(capacities), dtype=torch.int32, device=device)
        ends = [sum(capacities[:i]) for i in range(len(sizes))]
        self._areas = to_device_async([self._candidates.data_ptr() + 4 * end for end in ends], torch.int64, device)
        self._histogram = torch.zeros(len(sizes), 256, dtype=torch.int32, device=device)
        self._brackets = torch.zeros(3, len(sizes), dtype=torch.float32, device=device)
        self.state = torch.zeros(len(SelectionState), len(sizes), dtype=torch.int64, device=device)
        self._ties, self._kept = (torch.zeros(table.chunks, dtype=torch.int32, device=device) for _ in range(2))
        self.kept = torch.zeros(len(table.sizes), dtype=torch.int64, device=device)
        self.masks, self._mask_addresses = _packed_masks(table)
        self._pointers = {role: PointerArray(table) for role in ("scores", "base", "weights")}
        self._bf16 = PointerArray(table, torch.bfloat16)

    def select(
        self,
        scores: Tensors,
        counts: torch.Tensor,
        base: Tensors | None = None,
        weights: Tensors | None = None,
        bf16_weights: Tensors | None = None,
    ) -> None:
        """The masks of ``scores`` with ``counts`` (int64 [rankings], on the device) ones.

        With ``base`` W also W ⊙ M: into ``weights`` (float32), into ``bf16_weights`` (bf16, rounded to even), or both. Raises
        UnsupportedSizesError.
        """
        table, n = self.table, self._rankings
        s = self._pointers["scores"].update(scores)
        chunked = (s, table.matrix, table.chunk_number, table.weights, self._ranking_of)
        grid = (table.chunks,)
        programs.count_above[grid](*chunked, self.state, n, self._areas, self._capacities, **table.layout | table.wide)
        programs.check_bracket[(-(-n // _LANES),)](self.state, n, counts, self._totals, self._capacities, block=_LANES, num_warps=4)
        for shift in (24, 16, 8, 0):
            programs.count_digits[grid](*chunked, self._firsts, self.state, n, self._areas, self._histogram, shift, **table.layout)
            programs.choose_digit[(n,)](
                self.state, n, counts, self._totals, self._histogram, self._brackets, shift, num_warps=1, enable_fp_fusion=False
            )
        programs.count_ties[grid](*chunked, self.state, n, self._ties, **table.layout)
        w, whole, bf16 = (
            known.update(given) if given is not None else s
            for known, given in ((self._pointers["base"], base), (self._pointers["weights"], weights), (self._bf16, bf16_weights))
        )
        programs.write[grid](
            s,
            w,
            whole,
            bf16,
            self._mask_addresses,
            *chunked[1:],
            self._firsts,
            self.state,
            n,
            self._ties,
            self._kept,
            fp32=weights is not None,
            bf16=bf16_weights is not None,
            block=_LANES,
            **table.layout,
        )
        adam_kernels.add_up[(len(table.sizes),)](
            self._kept, table.first, table.weights, self.kept, mean=False, block=_LANES, num_warps=4
        )


def _packed_masks(table: ChunkTable) -> tuple[list[torch.Tensor], torch.Tensor]:
    """A mask in bits for each matrix, and their addresses on the device."""
    masks = [torch.zeros(-(-size // 8), dtype=torch.uint8, device=table.device) for size in table.sizes]
    return masks, to_device_async([mask.data_ptr() for mask in masks], torch.int64, table.device)
