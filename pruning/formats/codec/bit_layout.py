"""Layout of a matrix as bytes of eight weights that are kept with about the same probability.

Each row and column has a *mark*: all zeros, all ones, or how far its level lies from the base level of the matrix. Rows that
are all zeros or all ones are left out, then columns that are so in the rows that remain. The remaining columns are sorted by
mark, largest first, and packed eight to a byte; a byte's level is base + mark of its row + mean mark of its columns. So a model
of rows x columns costs one mark per line, and its bits are still coded eight at a time.
"""

import numpy as np
import numpy.typing as npt

from pruning.formats.codec.frequency_tables import LEVELS
from pruning.formats.codec.rans import Bytes, CorruptFileError
from pruning.masking import bits

ZEROS, ONES, CENTRE = 0, 255, 128
"""Marks: a line of zeros, a line of ones, a line at the base level; 1 to 254 are 127 below it to 126 above it."""
Mask = npt.NDArray[np.bool_]


class BitLayout:
    """Positions of the bits of one coded matrix, from its base level and marks alone."""

    def __init__(self, base: int, row_marks: Bytes, column_marks: Bytes) -> None:
        self._row_marks = row_marks
        self._rows = np.flatnonzero((row_marks != ZEROS) & (row_marks != ONES))
        coded = np.flatnonzero((column_marks != ZEROS) & (column_marks != ONES))
        marks = column_marks[coded].astype(np.int16) - CENTRE
        order = np.argsort(-marks, kind="stable")
        self._columns = coded[order]
        self._sorted = np.array_equal(self._columns, np.arange(len(column_marks)))
        self._column_marks = column_marks
        self._row_levels = row_marks[self._rows].astype(np.int16) + (base - CENTRE)
        self._byte_levels = _means_of_eight(marks[order])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the bytes."""
        return len(self._rows), len(self._byte_levels)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self._rows) * len(self._byte_levels)

    def levels(self) -> Bytes:
        """The level of each byte, row by row."""
        levels: Bytes = (self._row_levels[:, None] + self._byte_levels).clip(0, LEVELS - 1).astype(np.uint8)
        return levels.reshape(-1)

    def pack(self, mask: Mask) -> Bytes:
        """The bytes of a mask whose lines are as marked, row by row; zero bits after the last column."""
        rows = mask if len(self._rows) == len(mask) else mask[self._rows]
        ordered = rows if self._sorted else rows.take(self._columns, axis=1)
        return bits.pack_msb_first(ordered, axis=1).reshape(-1)

    def unpack(self, symbols: Bytes) -> Mask:
        """The mask. Raises CorruptFileError if there are ones after the last column."""
        rows, width = self.shape
        packed = symbols.reshape(rows, width)
        if bits.has_ones_after(packed, len(self._columns)):
            raise CorruptFileError("there are ones behind the last column")
        coded = self._as_packed(packed) if self._sorted else self._in_place(packed)
        if rows == len(self._row_marks):
            return coded
        mask = np.zeros((len(self._row_marks), len(self._column_marks)), np.bool_)
        mask[self._row_marks == ONES] = True
        mask[self._rows] = coded
        return mask

    def _as_packed(self, packed: Bytes) -> Mask:
        return bits.unpack_msb_first(packed, len(self._columns), axis=1)

    def _in_place(self, packed: Bytes) -> Mask:
        """Columns back in their order, and those that are left out: two more bytes a row give their zeros and ones."""
        rows, width = self.shape
        constant = np.tile(np.array([0x00, 0xFF], np.uint8), (rows, 1))
        ones = bits.unpack_msb_first(np.concatenate([packed, constant], axis=1), axis=1)
        source = np.where(self._column_marks == ONES, 8 * width + 8, 8 * width)
        source[self._columns] = np.arange(len(self._columns))
        return ones.take(source, axis=1)


def _means_of_eight(values: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The mean of each eight values and of the up to seven that are left, rounded, halves up."""
    if not len(values):
        return values
    firsts = np.arange(0, len(values), 8)
    sizes = np.minimum(8, len(values) - firsts)
    means: npt.NDArray[np.int64] = (np.add.reduceat(values, firsts) + sizes // 2) // sizes
    return means.astype(np.int16)
