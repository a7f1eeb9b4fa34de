"""Coding of whole masks: the same bits back for any matrix, the codec that suits it, sizes close to the entropy."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import masks as made
from pruning.formats.codec import matrices, planner, rans
from pruning.formats.codec.planner import Codec, plan

Mask = npt.NDArray[np.bool_]
LAYER = made.BERT_BASE[:6]


def there_and_back(masks: list[Mask]) -> matrices.CodedMasks:
    coded = matrices.encode(masks)
    for got, mask in zip(matrices.decode(coded, [mask.shape for mask in masks]), masks, strict=True):
        assert got.dtype == np.bool_
        assert np.array_equal(got, mask)
    return coded


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


@pytest.mark.slow
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


@pytest.mark.slow
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
