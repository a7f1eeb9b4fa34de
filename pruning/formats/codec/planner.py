"""Encoder decisions for one matrix: which codec, and the levels of its rows and columns.

The model says that the log odds of a one are the sum of a row's and a column's part. Its likelihood depends on the mask only
through the counts of ones in each row and column, so fitting it and computing the size of the result never reads single bits.
Floating point may differ between machines: the levels are written into the file, and decoders only read them.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from pruning.formats.codec.bit_layout import CENTRE, ONES, ZEROS, BitLayout, Mask
from pruning.formats.codec.frequency_tables import EVEN, LEVELS
from pruning.formats.codec.rans import Bytes
from pruning.masking.bits import pack_msb_first, packed_size

_ROUNDS = 12
_BINS_PER_NAT = 6
_TABLE_BITS = 4
"""What a further mark in use costs in the file's table, roughly, shared between the matrices."""
Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Codec(IntEnum):
    """How a matrix is stored; the byte in the file."""

    RAW = 0
    ZEROS = 1
    ONES = 2
    LEVEL = 3
    ROWS = 4
    COLUMNS = 5
    ROWS_AND_COLUMNS = 6

    @property
    def coded(self) -> bool:
        """Whether the bits go through the coder."""
        return self >= Codec.LEVEL

    @property
    def marks_rows(self) -> bool:
        """Whether each row has a mark."""
        return self in (Codec.ROWS, Codec.ROWS_AND_COLUMNS)

    @property
    def marks_columns(self) -> bool:
        """Whether each column has a mark."""
        return self in (Codec.COLUMNS, Codec.ROWS_AND_COLUMNS)


@dataclass(frozen=True)
class Plan:
    """How one matrix is to be stored."""

    codec: Codec
    base: int = 0
    """Base level of a coded matrix."""
    row_marks: Bytes | None = None
    column_marks: Bytes | None = None

    def layout(self, shape: tuple[int, int]) -> BitLayout:
        """Bit layout of a coded matrix; lines without marks are at the base level."""
        rows, columns = (
            np.full(length, CENTRE, np.uint8) if marks is None else marks
            for marks, length in zip((self.row_marks, self.column_marks), shape, strict=True)
        )
        return BitLayout(self.base, rows, columns)

    def marks_bits(self) -> float:
        """Size of the marks by their entropy."""
        return _marks_bits(self.row_marks) + _marks_bits(self.column_marks)


def plan(mask: Mask) -> Plan:
    """The choice with the smallest estimated size."""
    rows = np.bitwise_count(pack_msb_first(mask, axis=1)).sum(axis=1, dtype=np.int64)
    if rows.sum() in (0, mask.size):
        return constant(mask)
    columns = _column_counts(mask)
    choices = [_choice(codec, rows, columns) for codec in (Codec.LEVEL, Codec.ROWS, Codec.COLUMNS, Codec.ROWS_AND_COLUMNS)]
    raw = (8.0 * packed_size(mask.size), Plan(Codec.RAW))
    return min([raw, *choices], key=lambda choice: choice[0])[1]


def constant(mask: Mask) -> Plan:
    """Zeros, ones, or the bits as they are."""
    return Plan(Codec.ONES if mask.all() else Codec.RAW if mask.any() else Codec.ZEROS)


class _Lines:
    """The rows or the columns of a matrix: those that are constant, and the others in bins by their log odds."""

    def __init__(self, counts: Counts, length: int, *, marked: bool) -> None:
        """``counts`` are the ones in lines of ``length``; with ``marked`` off all lines are alike."""
        self.marked = marked
        self.ones = (counts == length) & marked
        self.active = ~((counts == 0) & marked | self.ones)
        self.counts = counts[self.active]
        self.bins: npt.NDArray[np.intp] = np.zeros(len(self.counts), np.intp)
        """Bin of each active line."""

    def bin(self, length: int) -> None:
        """Put active lines of about the same log odds together; ``length`` is what remains of a line."""
        inside = np.clip(self.counts, 0.5, length - 0.5)
        if self.marked:
            odds = np.log(inside / (length - inside))
            self.bins = np.unique(np.rint(odds * _BINS_PER_NAT), return_inverse=True)[1].reshape(-1)
        self.sizes: Floats = np.bincount(self.bins).astype(np.float64)
        self.sums: Floats = np.bincount(self.bins, weights=inside).astype(np.float64, copy=False)
        """Lines and ones of each bin."""
        self.odds: Floats = np.log(self.sums / (self.sizes * length - self.sums))

    def steps(self, odds: Floats, variance: float) -> Counts:
        """Log odds of each bin in quarters, rounded as coarsely as its lines are uncertain anyway.

        ``variance`` is that of the count of a line. A coarse step loses bits of the matrix, a fine one costs bits of the
        marks; the loss by rounding is as large as the gain of a free parameter when the step is sqrt(12 / variance).
        """
        if not self.marked:
            return np.zeros(1, np.int64)
        step = np.clip(np.rint(4 * np.sqrt(12 / max(variance, 1e-9))), 1, 8)
        steps: Floats = np.rint(odds * 4 / step) * step
        return steps.clip(1 - CENTRE, ONES - 1 - CENTRE).astype(np.int64)

    def marks(self, steps: Counts) -> Bytes | None:
        """The mark of each line, from the distance of each bin to the base level."""
        if not self.marked:
            return None
        marks = np.where(self.ones, ONES, ZEROS).astype(np.uint8)
        marks[self.active] = steps[self.bins] + CENTRE
        return marks


def _choice(codec: Codec, row_counts: Counts, column_counts: Counts) -> tuple[float, Plan]:
    """Estimated bits and the plan of one codec."""
    rows = _Lines(row_counts, len(column_counts), marked=codec.marks_rows)
    columns = _Lines(column_counts - int(rows.ones.sum()), int(rows.active.sum()), marked=codec.marks_columns)
    rows.counts = rows.counts - int(columns.ones.sum())
    if not len(rows.counts) or not len(columns.counts):  # constant lines are all there is
        row_marks, column_marks = rows.marks(np.zeros(1, np.int64)), columns.marks(np.zeros(1, np.int64))
        made = Plan(codec, EVEN, row_marks, column_marks)
        return made.marks_bits(), made
    rows.bin(len(columns.counts))
    columns.bin(len(rows.counts))
    row_odds, column_odds = _fit(rows, columns)
    chances = _sigmoid(row_odds[:, None] + column_odds)
    variance = float(rows.sizes @ (chances * (1 - chances)) @ columns.sizes)
    middle = round(4 * _median(row_odds, rows.sizes))
    row_steps = rows.steps(row_odds - middle / 4, variance / len(rows.counts))
    column_steps = columns.steps(column_odds, variance / len(columns.counts))

    levels = (middle + row_steps[:, None] + column_steps) / 4
    bits = float(rows.sizes @ np.logaddexp(0, levels) @ columns.sizes)
    bits -= float((middle * rows.sums.sum() + row_steps @ rows.sums + column_steps @ columns.sums) / 4)
    base = min(max(middle + EVEN, 0), LEVELS - 1)
    made = Plan(codec, base, rows.marks(row_steps), columns.marks(column_steps))
    return bits / np.log(2) + made.marks_bits(), made


def _fit(rows: _Lines, columns: _Lines) -> tuple[Floats, Floats]:
    """Log odds of each bin of rows and of columns that make the expected counts the counted ones; columns' median is 0."""
    row_odds = rows.odds
    column_odds = columns.odds - np.log(rows.sums.sum() / (rows.sizes.sum() * columns.sizes.sum() - rows.sums.sum()))
    for _ in range(_ROUNDS if rows.marked and columns.marked else 0):
        chances = _sigmoid(row_odds[:, None] + column_odds)
        row_odds = row_odds + _newton(rows, chances @ columns.sizes, (chances * (1 - chances)) @ columns.sizes)
        chances = _sigmoid(row_odds[:, None] + column_odds)
        column_odds = column_odds + _newton(columns, rows.sizes @ chances, rows.sizes @ (chances * (1 - chances)))
    middle = _median(column_odds, columns.sizes)
    return row_odds + middle, column_odds - middle


def _newton(lines: _Lines, expected: Floats, variance: Floats) -> Floats:
    """The change that brings the expected count of a line to the mean of its bin, were it linear; at most 1."""
    return np.clip((lines.sums / lines.sizes - expected) / np.maximum(variance, 1e-3), -1, 1)


def _sigmoid(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))


def _median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    return float(values[order[np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)]])


def _marks_bits(marks: Bytes | None) -> float:
    """Size of marks by their entropy."""
    if marks is None:
        return 0.0
    counts = np.bincount(marks)
    used = counts[counts > 0]
    return float(used @ np.log2(len(marks) / used)) + _TABLE_BITS * len(used)


def _column_counts(mask: Mask) -> Counts:
    """Ones in each column; sums of up to 255 rows fit a byte, which numpy adds several times as fast as wider sums."""
    ones = mask.view(np.uint8)
    counts = np.zeros(mask.shape[1], np.int64)
    for first in range(0, len(ones), 255):
        counts += ones[first : first + 255].sum(axis=0, dtype=np.uint8)
    return counts
