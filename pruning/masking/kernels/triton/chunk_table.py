"""Partition of a model's matrices into chunks, one for each program of a launch, and arrays of pointers to tensors.

Every pass is one launch over all matrices: program c works on chunk c, a stretch of :data:`CHUNK` neighbouring weights of one
matrix, tile after tile. The tables that say which are made once and stay on the device; so do the pointers to tensors that stay
where they are. Called by the launchers of this package.
"""

from collections.abc import Sequence

import torch

from pruning.masking.kernels.triton.transfers import to_device_async

CHUNK, TILE = 16384, 1024
"""Weights of a program, and of one iteration of it: eight for each of 128 threads. BERT-base has 5,184 chunks, enough to
occupy 132 multiprocessors some five times."""
WARPS = TILE // 8 // 32
ALIGNMENT = 16
"""Bytes that one thread reads at once: addresses are multiples of it, and sizes, too, where all loads are to be so wide."""
MAX_WEIGHTS = 2**31 - 1
"""Weights of a ranking: counts are int32."""


class UnsupportedSizesError(Exception):
    """Tensors that the kernels cannot work on; the message says why."""


class ChunkTable:
    """Chunks of matrices of ``sizes`` weights each, in their order.

    On the device: ``matrix`` and ``chunk_number`` int32 [chunks], the matrix of each chunk and the chunk's number in it; ``first``
    int32 [matrices + 1], the first chunk of each matrix; ``weights`` int64 [matrices], the sizes.
    ``chunk`` and ``tile`` are for tests. Raises UnsupportedSizesError.
    """

    def __init__(
        self, sizes: Sequence[int], device: torch.device, *, chunk: int = CHUNK, tile: int = TILE, warps: int = WARPS
    ) -> None:
        if not sizes or min(sizes) < 1 or sum(sizes) > MAX_WEIGHTS:
            raise UnsupportedSizesError(f"{sum(sizes)} weights in {len(sizes)} matrices are none, or more than {MAX_WEIGHTS}")
        self.sizes = tuple(sizes)
        self.chunk, self.tile, self.warps = chunk, tile, warps
        self.whole = all(size % ALIGNMENT == 0 for size in sizes)
        """Whether no load of sixteen bytes crosses the end of a matrix."""
        per_matrix = [-(-size // chunk) for size in sizes]
        self.firsts = [sum(per_matrix[:i]) for i in range(len(sizes) + 1)]
        self.chunks = self.firsts[-1]
        matrix = [i for i, count in enumerate(per_matrix) for _ in range(count)]
        self.matrix = to_device_async(matrix, torch.int32, device)
        self.device = self.matrix.device  # as tensors have it: "cuda" is not equal to their "cuda:0"
        self.chunk_number = to_device_async([c - self.firsts[i] for c, i in enumerate(matrix)], torch.int32, device)
        self.first = to_device_async(self.firsts, torch.int32, device)
        self.weights = to_device_async(sizes, torch.int64, device)

    @property
    def layout(self) -> dict[str, int | bool]:
        """Compile-time constants and launch options of every kernel over chunks."""
        return {"chunk": self.chunk, "tile": self.tile, "whole": self.whole, **self.launch}

    @property
    def wide(self) -> dict[str, int | bool]:
        """Changes to the layout for a program that waits in every iteration: more warps, and four times as long iterations."""
        return {"tile": min(4 * self.tile, self.chunk), "num_warps": 2 * self.warps}

    @property
    def launch(self) -> dict[str, int | bool]:
        """Launch options. A product and a sum stay two roundings, as in the plain twins."""
        return {"num_warps": self.warps, "enable_fp_fusion": False}


class PointerArray:
    """Pointers to a list of tensors, one for each matrix of a table, on the device; copied there when they change."""

    def __init__(self, table: ChunkTable, dtype: torch.dtype = torch.float32) -> None:
        self._table, self._dtype = table, dtype
        self._known: tuple[int, ...] = ()
        self._sent = table.weights

    def update(self, tensors: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """The pointers to ``tensors``, int64 [matrices]; 0 where there is no tensor. Raises UnsupportedSizesError."""
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
