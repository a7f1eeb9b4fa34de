"""Integer frequency tables of the coder: the frequencies of the 256 bytes where each weight is kept with a given probability.

Everything is computed from listed integers in integers, so encoder and decoder agree to the bit on every machine.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

Frequencies = npt.NDArray[np.uint32]
"""[contexts, 256]; each row adds up to ``TOTAL``."""

LEVELS = 81
EVEN = 40
"""The level at which a one is as likely as a zero. A level more or less multiplies the odds of a one by exp(±1/4)."""
TOTAL_BITS = 16
TOTAL = 1 << TOTAL_BITS
_WHOLE_BITS = 24
_ONES = (
    762,
    978,
    1256,
    1612,
    2070,
    2658,
    3413,
    4382,
    5626,
    7224,
    9274,
    11906,
    15285,
    19621,
    25186,
    32325,
    41484,
    53229,
    68286,
    87579,
    112287,
    143906,
    184330,
    235949,
    301759,
    385496,
    491778,
    626241,
    795674,
    1008087,
    1272689,
    1599699,
    1999893,
    2483820,
    3060592,
    3736288,
    4512088,
    5382488,
    6334081,
    7345459,
    8388608,
)
"""Probability of a one at levels 0 to 40, in units of 2**-24: 2**24 / (1 + exp((40 - level) / 4)), rounded. The others
mirror these: at level 80 - i it is 2**24 minus that of level i."""


def probability(level: int) -> int:
    """Probability of a one at a level, in units of 2**-24."""
    return _ONES[level] if level <= EVEN else (1 << _WHOLE_BITS) - _ONES[LEVELS - 1 - level]


@cache
def of_levels() -> Frequencies:
    """Frequencies of the bytes at every level: [81, 256], positive, each row adding up to 65536."""
    ones_in = [byte.bit_count() for byte in range(256)]
    rows = []
    for level in range(LEVELS):
        one = probability(level)
        zero = (1 << _WHOLE_BITS) - one
        shift = 8 * _WHOLE_BITS - TOTAL_BITS
        by_count = [max(1, (one**ones * zero ** (8 - ones)) >> shift) for ones in range(9)]
        row = [by_count[ones] for ones in ones_in]
        row[0x00 if level <= EVEN else 0xFF] += TOTAL - sum(row)
        rows.append(row)
    table = np.array(rows, dtype=np.uint32)
    table.flags.writeable = False
    return table


@cache
def bits_of_levels() -> npt.NDArray[np.float32]:
    """Length of each byte at every level, in bits, as the coder will need them; for choices of the encoder only."""
    return (TOTAL_BITS - np.log2(of_levels())).astype(np.float32)


def from_counts(counts: npt.NDArray[np.int64]) -> Frequencies:
    """Frequencies [256] close to ``counts``: at least two symbols, 1 to 65535 each wherever there is a count, 65536 in all.

    A single symbol gets a second one that never occurs: a frequency of 65536 would not fit the 16 bits it is stored in.
    """
    present = counts > 0
    if present.sum() == 1:
        present[1 if present[0] else 0] = True
    scaled: npt.NDArray[np.int64] = np.maximum(counts * TOTAL // counts.sum(), 1) * present
    scaled[np.argmax(scaled)] += TOTAL - scaled.sum()
    return scaled.astype(np.uint32)
