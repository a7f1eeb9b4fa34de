"""How the matrices of a model are shared out to the programs of one launch, and where they lie.

Every pass is one launch over all matrices: program c works on chunk c, a stretch of :data:`CHUNK` neighbouring weights of one
matrix, tile after tile. The tables that say which are made once and stay on the device; so are the addresses of tensors
that stay where they are.
"""

from collections.abc import Sequence

import torch

CHUNK, TILE = 16384, 1024
"""Weights of a program, and of one of its turns: eight for each of 128 threads. BERT-base has 5,184 chunks, enough to fill
132 multiprocessors some five times."""
WARPS = TILE // 8 // 32
ALIGNMENT = 16
"""Bytes that one thread reads at once, and so what addresses are multiples of; sizes too where loads are to be so wide."""
MAX_WEIGHTS = 2**31 - 1
"""Weights of a ranking: counts are int32."""


class UnsupportedSizesError(Exception):
    """Tensors that the kernels cannot work on; the message says why."""


class ChunkTable:
    """Chunks of matrices of ``sizes`` weights each, in their order.

    On the device: ``matrix`` and ``turn`` int32 [chunks], which matrix a chunk is of, and how many of that one come before it;
    ``first`` int32 [matrices + 1], the first chunk of each matrix; ``weights`` int64 [matrices], the sizes.
    ``chunk`` and ``tile`` are for tests. Raises UnsupportedSizesError.
    """

    def __init__(
        self, sizes: Sequence[int], device: torch.device, *, chunk: int = CHUNK, tile: int = TILE, warps: int = WARPS
    ) -> None:
        if not sizes or min(sizes) < 1 or sum(sizes) > MAX_WEIGHTS:
            raise UnsupportedSizesError(
                f"{sum(sizes)} weights in {len(sizes)} matrices are none, or more than {MAX_WEIGHTS}"
            )
        self.sizes = tuple(sizes)
        self.chunk, self.tile, self.warps = chunk, tile, warps
        self.whole = all(size % ALIGNMENT == 0 for size in sizes)
        """Whether no load of sixteen bytes begins inside a matrix and ends outside of it."""
        per_matrix = [-(-size // chunk) for size in sizes]
        self.firsts = [sum(per_matrix[:i]) for i in range(len(sizes) + 1)]
        self.chunks = self.firsts[-1]
        matrix = [i for i, count in enumerate(per_matrix) for _ in range(count)]
        self.matrix = to_device_async(matrix, torch.int32, device)
        self.device = self.matrix.device  # as tensors have it: "cuda" is not equal to their "cuda:0"
        self.turn = to_device_async([c - self.firsts[i] for c, i in enumerate(matrix)], torch.int32, device)
        self.first = to_device_async(self.firsts, torch.int32, device)
        self.weights = to_device_async(sizes, torch.int64, device)

    @property
    def layout(self) -> dict[str, int | bool]:
        """What every kernel over chunks is compiled for, and how it is launched."""
        return {"chunk": self.chunk, "tile": self.tile, "whole": self.whole, **self.launch}

    @property
    def wide(self) -> dict[str, int | bool]:
        """Of the layout, what suits a program that waits in every turn: more warps, and four times as long turns."""
        return {"tile": min(4 * self.tile, self.chunk), "num_warps": 2 * self.warps}

    @property
    def launch(self) -> dict[str, int | bool]:
        """How a kernel is launched. A product and a sum stay two roundings, as in the plain twins."""
        return {"num_warps": self.warps, "enable_fp_fusion": False}


class PointerArray:
    """The addresses of a list of tensors, one for each matrix of a table, on the device; sent there when they change."""

    def __init__(self, table: ChunkTable, dtype: torch.dtype = torch.float32) -> None:
        self._table, self._dtype = table, dtype
        self._known: tuple[int, ...] = ()
        self._sent = table.weights

    def update(self, tensors: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """int64 [matrices]; 0 where there is no tensor. Raises UnsupportedSizesError."""
        given = tuple(0 if tensor is None else tensor.data_ptr() for tensor in tensors)
        if given != self._known:
            self._require_fit(tensors)
            self._sent, self._known = to_device_async(given, torch.int64, self._table.device), given
        return self._sent

    def _require_fit(self, tensors: Sequence[torch.Tensor | None]) -> None:
        for tensor, size in zip(tensors, self._table.sizes, strict=True):
            if tensor is None:
                continue
            if (tensor.device, tensor.dtype, tensor.numel()) != (self._table.device, self._dtype, size):
                raise UnsupportedSizesError(
                    f"{tensor.numel()} numbers of {tensor.dtype} on {tensor.device} are not {size} of {self._dtype} on "
                    f"{self._table.device}"
                )
            if not tensor.is_contiguous() or tensor.data_ptr() % ALIGNMENT:
                raise UnsupportedSizesError(f"a matrix is not contiguous from a multiple of {ALIGNMENT} bytes")


def to_device_async(values: Sequence[float], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Numbers on the device; the host does not wait for their arrival, nor for anything before it."""
    host = torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")  # torch keeps it until it is read
    return host.to(device, non_blocking=True)
