"""Packed masks: both bit orders against numpy's definition of a bit, for any count of weights."""

import numpy as np
import pytest
import torch

from pruning.masking import bits

COUNTS = [1, 7, 8, 9, 64, 77]


def mask_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).random(count) < 0.5


@pytest.mark.parametrize("count", COUNTS)
def test_weight_i_is_bit_i_of_its_byte_from_the_end_that_the_name_says(count: int) -> None:
    mask = mask_of(count)
    lsb, msb = bits.pack_lsb_first(mask), bits.pack_msb_first(mask)
    assert len(lsb) == len(msb) == bits.packed_size(count)
    for i, one in enumerate(mask):
        assert bool(lsb[i // 8] >> (i % 8) & 1) == one
        assert bool(msb[i // 8] >> (7 - i % 8) & 1) == one
    assert np.array_equal(bits.unpack_lsb_first(lsb, count), mask)
    assert np.array_equal(bits.unpack_msb_first(msb, count), mask)
    assert bits.unpack_msb_first(msb, count).dtype == np.bool_
    assert bits.count_ones(torch.from_numpy(lsb)) == bits.count_ones(torch.from_numpy(msb)) == mask.sum()


@pytest.mark.parametrize("count", COUNTS)
def test_a_one_after_the_last_weight_is_found(count: int) -> None:
    packed = bits.pack_msb_first(np.ones(count, bool))
    assert not bits.has_ones_after(packed, count)
    assert not bits.has_ones_after(np.append(packed, np.uint8(0)), count)
    assert bits.has_ones_after(np.append(packed, np.uint8(1)), count)
    assert bits.has_ones_after(np.tile(packed, (3, 1)), count - 1)
    if count % 8:
        packed[-1] |= 1
        assert bits.has_ones_after(packed, count)


def test_rows_are_packed_by_themselves() -> None:
    mask = mask_of(33).reshape(3, 11)
    packed = bits.pack_msb_first(mask, axis=1)
    assert packed.shape == (3, 2)
    assert np.array_equal(packed[1], bits.pack_msb_first(mask[1]))
    assert np.array_equal(bits.unpack_msb_first(packed, 11, axis=1), mask)


def test_tensors_are_unpacked_by_torch_as_by_numpy() -> None:
    mask = torch.from_numpy(mask_of(30).reshape(5, 6))
    packed = torch.from_numpy(bits.pack_lsb_first(mask.numpy()))
    assert torch.equal(bits.unpack_tensor_lsb_first(packed, mask.shape), mask)
    as_on_a_gpu = bits._bits_of_bytes(packed)
    assert torch.equal(as_on_a_gpu.view(-1)[:30].view(mask.shape).bool(), mask)
    assert int(as_on_a_gpu.sum()) == int(mask.sum())
