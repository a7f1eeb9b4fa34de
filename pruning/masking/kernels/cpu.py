"""CPU kernels: the compiled C++ library as functions of contiguous float32 tensors.

Loaded by :mod:`pruning.masking.kernels.dispatch`, which says what they are for. Each call covers all matrices at once and uses
as many threads as torch does; the bits do not depend on how many.
"""

import ctypes
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from pruning.masking.bits import packed_size
from pruning.masking.topk_state import ThresholdState

_NOT_A_NUMBER, _NO_MEMORY = 1, 2
_MIN_PARALLEL = 2**19
"""Weights that one thread multiplies in about the time in which a sleeping thread wakes."""
Tensors = Sequence[torch.Tensor]


class CpuKernels:
    """The kernels of the library in ``file``. Raises OSError if it cannot be loaded."""

    def __init__(self, file: Path) -> None:
        library = ctypes.CDLL(str(file))
        self._gradients, self._adam = library.espalier_gradients, library.espalier_adam
        self._masses, self._select = library.espalier_masses, library.espalier_select
        self._gradients.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 5, ctypes.c_float, *[ctypes.c_void_p] * 3, ctypes.c_int]
        self._adam.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 8, ctypes.c_int]
        self._masses.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 2, ctypes.c_float, ctypes.c_void_p, ctypes.c_int]
        self._select.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 9, ctypes.c_int]
        self._masked = library.espalier_masked
        self._masked.argtypes = [*[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int, ctypes.c_int]
        self._dropout = library.espalier_dropout
        self._dropout.argtypes = [
            *[ctypes.c_void_p] * 2,
            ctypes.c_int64,
            ctypes.c_int,
            ctypes.c_uint64,
            ctypes.c_uint32,
            ctypes.c_float,
            ctypes.c_int,
        ]
        self._dropout.restype = None
        self._gradients.restype = self._adam.restype = self._masses.restype = self._masked.restype = None
        self._select.restype = ctypes.c_int

    def gradients(
        self,
        gradients: Tensors,
        base: Tensors,
        scores: Tensors,
        slopes: Sequence[torch.Tensor | None],
        shift: float,
        pulls: Sequence[float],
    ) -> tuple[list[float], list[float]]:
        """G <- G ⊙ W (⊙ slope) + pull σ(S - shift)(1 - σ(S - shift)), in place; mean σ and the L2 norm of each matrix."""
        masses, squares = _doubles([0.0] * len(scores)), _doubles([0.0] * len(scores))
        sizes = _sizes(scores)
        self._gradients(
            len(scores),
            _pointers(gradients),
            _pointers(base),
            _pointers(scores),
            _pointers(slopes),
            sizes,
            shift,
            _floats(pulls),
            masses,
            squares,
            torch.get_num_threads(),
        )
        return _means(masses, sizes), [math.sqrt(square) for square in squares]

    def adam(
        self,
        scores: Tensors,
        gradients: Tensors,
        first: Tensors,
        second: Tensors,
        constants: Sequence[float],
        temperatures: Sequence[float | None],
    ) -> list[float]:
        """One Adam update in place; mean σ(S/p) of the new scores of each matrix where its temperature p is given.

        ``constants``: clip, β1, 1 - β1, β2, 1 - β2, step, divisor of sqrt(v), ε.
        """
        masses, sizes = _doubles([0.0] * len(scores)), _sizes(scores)
        inverse = _floats([0.0 if p is None else 1 / p for p in temperatures])
        self._adam(
            len(scores),
            _pointers(scores),
            _pointers(gradients),
            _pointers(first),
            _pointers(second),
            sizes,
            _floats(constants),
            inverse,
            masses,
            torch.get_num_threads(),
        )
        return _means(masses, sizes)

    def masses(self, scores: Tensors, temperature: float) -> list[float]:
        """Mean σ(S/p) of each matrix, equal to the last bit to that of ``adam``."""
        masses, sizes = _doubles([0.0] * len(scores)), _sizes(scores)
        self._masses(len(scores), _pointers(scores), sizes, 1 / temperature, masses, torch.get_num_threads())
        return _means(masses, sizes)

    def apply_mask(self, base: torch.Tensor, packed: torch.Tensor, out: torch.Tensor) -> None:
        """out <- W ⊙ M for W [out, in] and its packed mask; ``out``: as many numbers, in float32 or bfloat16."""
        half = int(out.dtype == torch.bfloat16)
        threads = torch.get_num_threads() if base.numel() >= _MIN_PARALLEL else 1
        self._masked(base.data_ptr(), packed.data_ptr(), out.data_ptr(), base.numel(), half, threads)

    def dropout(self, x: torch.Tensor, seed: int, p: float) -> torch.Tensor:
        """x / (1 - p) with every element 0 with probability ``p``; which ones, is a function of ``seed`` (64 bits) alone.

        ``x``: contiguous, float32 or bfloat16.
        """
        y = torch.empty_like(x)
        half = int(x.dtype == torch.bfloat16)
        threshold = min(round(p * 2**32), 2**32 - 1)
        self._dropout(x.data_ptr(), y.data_ptr(), x.numel(), half, seed, threshold, 1 / (1 - p), torch.get_num_threads())
        return y

    def select(self, states: Sequence[ThresholdState], rankings: Sequence[Tensors], counts: Sequence[int]) -> list[torch.Tensor]:
        """The masks of all tensors, ranking after ranking, packed lowest bit first (:mod:`pruning.masking.bits`).

        ``states`` are those of the rankings, and updated.

        Raises ValueError if a count is out of range or a score is NaN, MemoryError.
        """
        scores = [tensor for ranking in rankings for tensor in ranking]
        bounds = [0]
        for ranking, k in zip(rankings, counts, strict=True):
            bounds.append(bounds[-1] + len(ranking))
            total = sum(tensor.numel() for tensor in ranking)
            if not 0 <= k <= total:
                raise ValueError(f"k = {k} is not between 0 and the {total} scores")
        masks = [torch.empty(packed_size(tensor.numel()), dtype=torch.uint8) for tensor in scores]
        thresholds = _doubles([state.expected for state in states])
        widths = _doubles([state.width for state in states])
        known = _integers([state.threshold is not None for state in states])
        cold = _integers([0] * len(states))
        status = self._select(
            len(rankings),
            _integers(bounds),
            _pointers(scores),
            _sizes(scores),
            _integers(counts),
            thresholds,
            widths,
            known,
            cold,
            _pointers(masks),
            torch.get_num_threads(),
        )
        for state, threshold, width, knows, times in zip(states, thresholds, widths, known, cold, strict=True):
            state.width = width
            state.cold_selections += times
            if knows:
                state.update(threshold, warm=not times)
            else:
                state.threshold = None
        if status == _NO_MEMORY:
            raise MemoryError
        if status == _NOT_A_NUMBER:
            raise ValueError("a score is NaN; no ranking exists")
        return masks


def _pointers(tensors: Sequence[torch.Tensor | None]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(None if tensor is None else tensor.data_ptr() for tensor in tensors))


def _sizes(tensors: Tensors) -> Any:
    return _integers([tensor.numel() for tensor in tensors])


def _integers(values: Sequence[int]) -> Any:
    return (ctypes.c_int64 * len(values))(*values)


def _floats(values: Sequence[float]) -> Any:
    return (ctypes.c_float * len(values))(*values)


def _doubles(values: Sequence[float]) -> Any:
    return (ctypes.c_double * len(values))(*values)


def _means(sums: Any, sizes: Any) -> list[float]:
    return [total / size for total, size in zip(sums, sizes, strict=True)]
