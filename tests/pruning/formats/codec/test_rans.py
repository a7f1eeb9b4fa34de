"""Streams of symbols: read back as written, and recognised as damaged otherwise."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruning.formats.codec import frequency_tables, rans
from pruning.formats.codec.rans import CorruptFileError, Stream


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 5000) | st.sampled_from([8192, 16384, 40_001]), seed=st.integers(0, 9))
def test_symbols_survive_in_any_context(size: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    contexts = random.integers(0, 81, size, dtype=np.uint8)
    symbols = random.integers(0, 256, size, dtype=np.uint8)  # most of them as unlikely as can be
    stream = rans.encode(symbols, contexts, frequency_tables.of_levels())
    stream.require(size)
    assert np.array_equal(rans.decode(stream, contexts, frequency_tables.of_levels()), symbols)


@pytest.mark.parametrize(
    ("symbols", "lanes"), [(1, 1), (8191, 1), (16384, 2), (10**7, 1024), (2**26, 1024), (2**27, 2048), (2**28, 4096)]
)
def test_lanes_keep_to_the_limits(symbols: int, lanes: int) -> None:
    assert rans.lanes_for(symbols) == lanes
    Stream(np.full(lanes, rans.LOWEST, np.uint64), rans.EMPTY.words).require(symbols)


def stream_of(size: int = 20_000) -> tuple[Stream, npt.NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    contexts = random.integers(20, 60, size, dtype=np.uint8)
    return rans.encode(random.integers(0, 256, size, dtype=np.uint8), contexts, frequency_tables.of_levels()), contexts


@pytest.mark.parametrize(
    "change",
    [
        lambda states, words: (states, words[:-1]),
        lambda states, words: (states, np.append(words, words[:1])),
        lambda states, words: (states, words[::-1]),
        lambda states, words: (states[:0], words),
        lambda states, words: (states[:0], words[:0]),
        lambda states, words: (np.repeat(states, 3000), words),
        lambda states, words: (states[:1], words),
        lambda states, words: (states - states, words),
        lambda states, words: (states << np.uint64(20), words),
        lambda states, words: (states, np.repeat(words, 9)),
        lambda states, words: (states[::-1], words),
    ],
)
def test_a_stream_that_is_not_as_written_is_damaged(change: object) -> None:
    stream, contexts = stream_of()
    with pytest.raises(CorruptFileError):
        rans.decode(Stream(*change(*stream)), contexts, frequency_tables.of_levels())  # type: ignore[operator]


def test_a_stream_for_another_number_of_symbols_is_damaged() -> None:
    stream, contexts = stream_of()
    for other in (contexts[:0], contexts[:-1], np.append(contexts, contexts[:1])):
        with pytest.raises(CorruptFileError):
            rans.decode(stream, other, frequency_tables.of_levels())


def test_a_lane_has_a_bounded_number_of_steps() -> None:
    with pytest.raises(CorruptFileError):
        Stream(np.full(1, rans.LOWEST, np.uint64), rans.EMPTY.words).require(65537)
