"""Layout of a matrix in bytes: the same mask back for any marks, and levels as specified."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruning.formats.codec.bit_layout import CENTRE, ONES, ZEROS, BitLayout
from pruning.formats.codec.rans import CorruptFileError


@settings(max_examples=80, deadline=None)
@given(
    row_marks=st.lists(st.integers(0, 255), min_size=1, max_size=20),
    column_marks=st.lists(st.integers(0, 255), min_size=1, max_size=40),
    seed=st.integers(0, 9),
)
def test_any_marks_make_a_layout_that_gives_the_mask_back(row_marks: list[int], column_marks: list[int], seed: int) -> None:
    layout = BitLayout(40, np.array(row_marks, np.uint8), np.array(column_marks, np.uint8))
    mask = np.random.default_rng(seed).random((len(row_marks), len(column_marks))) < 0.5
    mask[:, np.array(column_marks) == ZEROS] = False
    mask[:, np.array(column_marks) == ONES] = True
    mask[np.array(row_marks) == ZEROS] = False
    mask[np.array(row_marks) == ONES] = True
    symbols = layout.pack(mask)
    assert symbols.shape == layout.levels().shape == (layout.size,)
    assert np.array_equal(layout.unpack(symbols), mask)


def test_levels_are_base_plus_row_plus_the_mean_of_eight_columns_within_the_range() -> None:
    columns = np.array([128, 120, 136, 128, 130, 128, 128, 129, 131, 0], np.uint8)
    layout = BitLayout(40, np.array([128, 0, 118, 254, 1], np.uint8), columns)
    # sorted: 136 131 130 129 128 128 128 128 | 120; (8 + 3 + 2 + 1 + 4) // 8 = 2
    assert layout.levels().tolist() == [42, 32, 32, 22, 80, 80, 0, 0]


def test_ones_behind_the_last_column_are_damage() -> None:
    layout = BitLayout(40, np.full(2, CENTRE, np.uint8), np.full(11, CENTRE, np.uint8))
    with pytest.raises(CorruptFileError):
        layout.unpack(np.array([255, 0, 255, 0b00010000], np.uint8))
