"""The codec: models of integers alone, streams that end where they must, the same bits back for any matrix."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import masks as made
from pruning.formats.codec import frequency_tables, matrices, planner, rans
from pruning.formats.codec.bit_layout import CENTRE, ONES, ZEROS, BitLayout
from pruning.formats.codec.planner import Codec, plan
from pruning.formats.codec.rans import CorruptFileError, Stream

Mask = npt.NDArray[np.bool_]
LAYER = made.BERT_BASE[:6]


def there_and_back(masks: list[Mask]) -> matrices.CodedMasks:
    coded = matrices.encode(masks)
    for got, mask in zip(matrices.decode(coded, [mask.shape for mask in masks]), masks, strict=True):
        assert got.dtype == np.bool_
        assert np.array_equal(got, mask)
    return coded


# --- tables


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


# --- streams


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 5000) | st.sampled_from([8192, 16384, 40_001]), seed=st.integers(0, 9))
def test_symbols_survive_whatever_their_contexts(size: int, seed: int) -> None:
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


# --- layout


@settings(max_examples=80, deadline=None)
@given(
    row_marks=st.lists(st.integers(0, 255), min_size=1, max_size=20),
    column_marks=st.lists(st.integers(0, 255), min_size=1, max_size=40),
    seed=st.integers(0, 9),
)
def test_any_marks_make_a_layout_that_gives_the_mask_back(
    row_marks: list[int], column_marks: list[int], seed: int
) -> None:
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


# --- choice


def test_the_codec_follows_the_mask() -> None:
    random = np.random.default_rng(0)
    rows, columns = random.random((300, 1)) ** 3, random.random(400) ** 3
    noise = random.random((300, 400))
    shares = (0.5, 0, 1, 0.1, rows, columns, 3 * rows * columns)
    assert [plan(noise < share).codec for share in shares] == list(Codec)


def test_a_mask_in_blocks_is_coded_by_its_lines_alone() -> None:
    mask = np.zeros((64, 48), bool)
    mask[::3] = True
    coded = there_and_back([mask])
    assert coded.codecs == [Codec.ROWS]
    assert coded.bits == rans.EMPTY
    assert coded.size < 40


@pytest.mark.parametrize("share", [0.1, 0.03])
def test_even_masks_take_at_most_three_hundredths_more_than_their_entropy(share: float) -> None:
    masks, entropy, *_ = made.even(share, LAYER)
    assert there_and_back(masks).size < 1.01 * entropy


@pytest.mark.parametrize(("share", "limit"), [(0.5, 1.04), (0.1, 1.04), (0.03, 1.07)])
def test_uneven_masks_take_far_less_than_a_tenth_more(share: float, limit: float) -> None:
    masks, entropy, *_ = made.uneven(share, LAYER)
    assert there_and_back(masks).size < limit * entropy


def test_noise_takes_no_more_than_its_bits() -> None:
    masks, *_ = made.even(0.5, LAYER[:2])
    assert there_and_back(masks).size == sum(mask.size for mask in masks) / 8


SHAPES = st.one_of(
    st.sampled_from([(1, 1), (511, 350), (1, 100_000), (100_000, 1), (2, 7), (8, 8), (768, 64), (3, 4097)]),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
)


@st.composite
def any_mask(draw: st.DrawFn) -> Mask:
    """Any shape; even, uneven by lines, constant, or with constant lines."""
    shape = draw(SHAPES)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    chances = np.full(shape, draw(st.sampled_from([0.0, 0.001, 0.03, 0.5, 0.9, 0.999, 1.0])))
    if draw(st.booleans()):
        chances = chances * random.random((shape[0], 1)) ** draw(st.integers(0, 9))
    if draw(st.booleans()):
        chances = chances * random.random(shape[1]) ** draw(st.integers(0, 9))
    mask: Mask = random.random(shape) < chances
    for value in (False, True):
        mask[random.random(shape[0]) < draw(st.sampled_from([0, 0.1, 0.9]))] = value
        mask[:, random.random(shape[1]) < draw(st.sampled_from([0, 0.1]))] = value
    return mask


@settings(max_examples=80, deadline=None)
@given(st.lists(any_mask(), min_size=1, max_size=4))
def test_any_masks_survive_and_take_no_more_than_their_bits(masks: list[Mask]) -> None:
    assert there_and_back(masks).size <= sum(-(-mask.size // 8) for mask in masks)


@settings(max_examples=60, deadline=None)
@given(any_mask(), st.sampled_from([codec for codec in Codec if codec.coded]))
def test_every_codec_can_hold_any_mask(mask: Mask, codec: Codec) -> None:
    rows, columns = mask.sum(axis=1, dtype=np.int64), mask.sum(axis=0, dtype=np.int64)
    bits, chosen = planner._choice(codec, rows, columns)
    assert np.isfinite(bits)
    layout = chosen.layout(mask.shape)
    assert np.array_equal(layout.unpack(layout.pack(mask)), mask)
