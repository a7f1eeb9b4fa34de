"""Bit packing of masks, eight weights to a byte, over the row-major matrix; the bit order is part of each function's name.

Masks in memory have the lowest bit first: C++ and Triton then find the bit of weight i as ``byte[i / 8] >> (i % 8)``. Mask
files have the highest bit first, as the file formats of ``docs/reference/mask-format.md`` and the reference code's ``.npy``
masks fix it. Bits after the last weight of a matrix are zeros in both. Called by the kernels, the file formats and
:mod:`pruning.inference.mask_bank`; torch is imported by the functions on tensors alone, so that the file formats work without
it.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]


def packed_size(weights: int) -> int:
    """Bytes of a packed mask."""
    return -(-weights // 8)


def pack_msb_first(mask: Bools, axis: int | None = None) -> Bytes:
    """uint8 [ceil(weights / 8)], or with ``axis`` 1 each row separately, [rows, ceil(columns / 8)]."""
    return np.packbits(mask, axis=axis)


def unpack_msb_first(packed: Bytes, count: int | None = None, axis: int | None = None) -> Bools:
    """The first ``count`` bits of packed weights, or of each row with ``axis`` 1; all of them without ``count``."""
    return np.unpackbits(packed, axis=axis, count=count).view(np.bool_)


def has_ones_after(packed: Bytes, count: int) -> bool:
    """Whether bytes [..., any], highest bit first, have ones after the first ``count`` bits of each row."""
    rest = packed[..., count // 8 :]
    return bool((rest[..., :1] & (0xFF >> count % 8)).any() or rest[..., 1:].any())


def pack_lsb_first(mask: Bools) -> Bytes:
    """uint8 [ceil(weights / 8)]."""
    return np.packbits(mask, bitorder="little")


def unpack_lsb_first(packed: Bytes, count: int) -> Bools:
    """The first ``count`` bits of packed weights."""
    return np.unpackbits(packed, count=count, bitorder="little").view(np.bool_)


def unpack_tensor_lsb_first(packed: "torch.Tensor", shape: "torch.Size") -> "torch.Tensor":
    """A bool mask of a shape from uint8 [ceil(weights / 8)], on the same device; the host does not wait for a GPU."""
    import torch

    if packed.device.type == "cpu":
        return torch.from_numpy(unpack_lsb_first(packed.numpy(), shape.numel())).view(shape)
    return _bits_of_bytes(packed).view(-1)[: shape.numel()].view(shape).bool()


def count_ones(packed: "torch.Tensor") -> int:
    """Weights that a packed mask keeps, in either bit order; with a GPU the host waits for the result."""
    if packed.device.type == "cpu":
        return int(np.bitwise_count(packed.numpy()).sum())
    return int(_bits_of_bytes(packed).sum())


def _bits_of_bytes(packed: "torch.Tensor") -> "torch.Tensor":
    """uint8 [bytes, 8], the lowest bit first."""
    import torch

    shifts = torch.arange(8, dtype=torch.uint8, device=packed.device)
    return (packed.unsqueeze(1) >> shifts) & 1
