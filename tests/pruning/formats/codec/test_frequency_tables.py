"""Frequencies of the coder: integers of the logistic function, close to the entropy, adding up to 65536."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruning.formats.codec import frequency_tables


def test_levels_are_the_logistic_function_in_quarters() -> None:
    for level in range(frequency_tables.LEVELS):
        assert frequency_tables.probability(level) == round(2**24 / (1 + math.exp((40 - level) / 4)))


def test_every_byte_has_a_frequency_at_every_level_and_they_add_up() -> None:
    frequencies = frequency_tables.of_levels()
    assert frequencies.shape == (81, 256)
    assert frequencies.min() == 1
    assert (frequencies.sum(axis=1) == 65536).all()
    assert np.array_equal(frequencies[40], np.full(256, 256))
    flipped = 255 - np.arange(256)
    assert np.array_equal(frequencies[80 - 17], frequencies[17][flipped])


@pytest.mark.parametrize("share", [0.5, 0.2, 0.1, 0.03, 0.01, 0.001])
def test_the_frequencies_cost_less_than_a_hundredth_more_than_the_entropy(share: float) -> None:
    level = round(40 + 4 * math.log(share / (1 - share)))
    share = frequency_tables.probability(level) / 2**24
    ones = np.array([byte.bit_count() for byte in range(256)])
    chances = share**ones * (1 - share) ** (8 - ones)
    entropy = -8 * (share * math.log2(share) + (1 - share) * math.log2(1 - share))
    assert float(chances @ frequency_tables.bits_of_levels()[level]) < entropy * 1.005 + 0.006


@given(st.dictionaries(st.integers(0, 255), st.integers(1, 10**9), min_size=1))
def test_frequencies_from_counts_fit_sixteen_bits_each_and_add_up(counts: dict[int, int]) -> None:
    given_counts = np.zeros(256, np.int64)
    given_counts[list(counts)] = list(counts.values())
    frequencies = frequency_tables.from_counts(given_counts)
    assert frequencies.sum() == 65536
    assert frequencies.max() < 65536
    assert (frequencies[given_counts > 0] > 0).all()
    assert (frequencies > 0).sum() == max(len(counts), 2)
