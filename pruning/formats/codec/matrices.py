"""Coding of all matrices of a mask into the parts of a file, and back.

Called by :mod:`pruning.formats.compact_file`, which lays the parts out as bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pruning.formats.codec import frequency_tables, rans
from pruning.formats.codec.bit_layout import BitLayout, Mask
from pruning.formats.codec.planner import Codec, Plan, constant, plan
from pruning.formats.codec.rans import Bytes, CorruptFileError, Stream
from pruning.masking.bits import has_ones_after, pack_msb_first, packed_size, unpack_msb_first

Shape = tuple[int, int]
NO_TABLE = np.zeros(256, np.uint32)


@dataclass(frozen=True)
class CodedMasks:
    """The parts, in the order in which they lie in a file."""

    codecs: list[Codec]
    """Codec of each matrix."""
    bases: list[int]
    """Base level of each coded matrix."""
    row_frequencies: npt.NDArray[np.uint32]
    """Frequencies of the marks of rows, [256]; all zero where no matrix has any."""
    column_frequencies: npt.NDArray[np.uint32]
    marks: Stream
    """For each matrix the marks of its rows, then those of its columns, if its codec has them."""
    bits: Stream
    """The bytes of all coded matrices."""
    raw: list[Bytes]
    """Packed bits of the matrices that are stored as they are."""

    @property
    def size(self) -> int:
        """Bytes that depend on the codecs, in a file."""
        states = 5 * (len(self.marks.states) + len(self.bits.states))
        words = 2 * (len(self.marks.words) + len(self.bits.words))
        entries = 3 * int((self.row_frequencies > 0).sum() + (self.column_frequencies > 0).sum())
        return states + words + entries + len(self.bases) + sum(len(packed) for packed in self.raw)


def encode(masks: Sequence[Mask]) -> CodedMasks:
    """Code each mask by the codec that makes it smallest, or store all of them plain if that is smaller, as for tiny models."""
    coded = _encode([_Matrix(mask) for mask in masks])
    constant = (Codec.ZEROS, Codec.ONES)
    plain = sum(packed_size(mask.size) for mask, codec in zip(masks, coded.codecs, strict=True) if codec not in constant)
    return coded if coded.size <= plain else _encode([_Matrix(mask, coding=False) for mask in masks])


def decode(coded: CodedMasks, shapes: Sequence[Shape]) -> Iterator[Mask]:
    """The masks in their order, one at a time.

    Raises CorruptFileError, also after the first ones; memory is bounded by ``shapes``.
    """
    layouts = _layouts(coded, shapes)
    coded.bits.require(sum(layout.size for layout in layouts))
    symbols = rans.decode(coded.bits, _joined([layout.levels() for layout in layouts]), frequency_tables.of_levels())
    raw, waiting = iter(coded.raw), iter(layouts)
    taken = 0
    for codec, (rows, columns) in zip(coded.codecs, shapes, strict=True):
        if codec.coded:
            layout = next(waiting)
            yield layout.unpack(symbols[taken : taken + layout.size])
            taken += layout.size
        elif codec is Codec.RAW:
            yield _unpacked(next(raw), rows, columns)
        else:
            yield np.full((rows, columns), codec is Codec.ONES)


class _Matrix:
    """One matrix as it is coded."""

    def __init__(self, mask: Mask, *, coding: bool = True) -> None:
        self.plan = plan(mask) if coding else constant(mask)
        self.raw = _NOTHING
        self.levels = self.symbols = _NOTHING
        if self.plan.codec.coded:
            layout = self.plan.layout((mask.shape[0], mask.shape[1]))
            self.levels, self.symbols = layout.levels(), layout.pack(mask)
            if self._bits() >= 8 * packed_size(mask.size):  # the estimate was wrong
                self.plan, self.levels, self.symbols = Plan(Codec.RAW), _NOTHING, _NOTHING
        if self.plan.codec is Codec.RAW:
            self.raw = pack_msb_first(mask)

    def _bits(self) -> float:
        """Size in bits by the frequencies that the coder will use."""
        index = self.levels.astype(np.int32) << 8 | self.symbols
        lengths = frequency_tables.bits_of_levels().reshape(-1).take(index)
        return float(lengths.sum(dtype=np.float64)) + self.plan.marks_bits()


_NOTHING = np.empty(0, np.uint8)


def _encode(matrices: Sequence[_Matrix]) -> CodedMasks:
    plans = [matrix.plan for matrix in matrices]
    row_frequencies = _frequencies([given.row_marks for given in plans])
    column_frequencies = _frequencies([given.column_marks for given in plans])
    marks, contexts = [], []
    for given in plans:
        for context, line_marks in enumerate((given.row_marks, given.column_marks)):
            if line_marks is not None:
                marks.append(line_marks)
                contexts.append(np.full(len(line_marks), context, np.uint8))
    return CodedMasks(
        codecs=[given.codec for given in plans],
        bases=[given.base for given in plans if given.codec.coded],
        row_frequencies=row_frequencies,
        column_frequencies=column_frequencies,
        marks=rans.encode(_joined(marks), _joined(contexts), np.stack([row_frequencies, column_frequencies])),
        bits=rans.encode(
            _joined([matrix.symbols for matrix in matrices]),
            _joined([matrix.levels for matrix in matrices]),
            frequency_tables.of_levels(),
        ),
        raw=[matrix.raw for matrix in matrices if matrix.plan.codec is Codec.RAW],
    )


def _frequencies(marks: list[Bytes | None]) -> npt.NDArray[np.uint32]:
    given = _joined([lines for lines in marks if lines is not None])
    return frequency_tables.from_counts(np.bincount(given, minlength=256)) if len(given) else NO_TABLE


def _layouts(coded: CodedMasks, shapes: Sequence[Shape]) -> list[BitLayout]:
    """Read the marks, and from them where the bits of each coded matrix are."""
    marked = [
        (context, shape[context])
        for codec, shape in zip(coded.codecs, shapes, strict=True)
        for context, has_marks in enumerate((codec.marks_rows, codec.marks_columns))
        if has_marks
    ]
    frequencies = np.stack([coded.row_frequencies, coded.column_frequencies])
    if [bool(table.any()) for table in frequencies] != [any(kind == context for kind, _ in marked) for context in (0, 1)]:
        raise CorruptFileError("there must be a table of marks for lines that have marks, and for no others")
    sizes = [size for _, size in marked]
    coded.marks.require(sum(sizes))
    contexts = [np.full(size, context, np.uint8) for context, size in marked]
    frequencies[~frequencies.any(axis=1)] = frequency_tables.TOTAL // 256  # no line refers to this table
    marks = rans.decode(coded.marks, _joined(contexts), frequencies)
    parts, bases = iter(np.split(marks, np.cumsum(sizes[:-1]))), iter(coded.bases)
    layouts = []
    for codec, shape in zip(coded.codecs, shapes, strict=True):
        if codec.coded:
            given = Plan(
                codec, next(bases), next(parts) if codec.marks_rows else None, next(parts) if codec.marks_columns else None
            )
            layouts.append(given.layout(shape))
    return layouts


def _unpacked(packed: Bytes, rows: int, columns: int) -> Mask:
    if has_ones_after(packed, rows * columns):
        raise CorruptFileError("there are ones behind the last weight")
    return unpack_msb_first(packed, rows * columns).reshape(rows, columns)


def _joined(parts: list[Bytes]) -> Bytes:
    return np.concatenate(parts) if parts else _NOTHING
