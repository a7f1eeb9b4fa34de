"""Chunk tables of matrices, and tensors that the programs of a GPU refuse. Needs no Triton."""

import pytest
import torch

from pruning.masking.kernels.triton.chunk_table import ChunkTable, PointerArray, UnsupportedSizesError

CPU = torch.device("cpu")


def test_every_weight_is_in_one_chunk() -> None:
    table = ChunkTable([700, 3, 256], CPU, chunk=256, tile=64)
    assert table.matrix.tolist() == [0, 0, 0, 1, 2]
    assert table.chunk_number.tolist() == [0, 1, 2, 0, 0]
    assert table.first.tolist() == table.firsts == [0, 3, 4, 5]
    assert not table.whole
    assert ChunkTable([8], torch.device("cpu", 0)).device == torch.zeros(8, device="cpu:0").device, "as tensors name it"
    assert ChunkTable([1600, 16], CPU).whole


@pytest.mark.parametrize("sizes", [[], [4, 0], [2**31]])
def test_sizes_without_a_table(sizes: list[int]) -> None:
    with pytest.raises(UnsupportedSizesError, match="weights"):
        ChunkTable(sizes, CPU)


def test_addresses_are_sent_again_only_when_they_change() -> None:
    table = ChunkTable([8, 4], CPU)
    addresses, tensors = PointerArray(table), [torch.zeros(2, 4), torch.zeros(4)]
    sent = addresses.update(tensors)
    assert sent.tolist() == [tensor.data_ptr() for tensor in tensors]
    assert addresses.update(tensors) is sent
    assert addresses.update([tensors[0], None]).tolist() == [tensors[0].data_ptr(), 0]


@pytest.mark.parametrize(
    "given",
    [torch.zeros(5), torch.zeros(4, dtype=torch.float64), torch.zeros(5)[1:], torch.zeros(8)[::2]],
    ids=["size", "dtype", "not at sixteen bytes", "not contiguous"],
)
def test_tensors_that_do_not_fit(given: torch.Tensor) -> None:
    with pytest.raises(UnsupportedSizesError):
        PointerArray(ChunkTable([4], CPU)).update([given])
