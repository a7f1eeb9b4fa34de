"""Choice between compiled CPU kernels and plain PyTorch for the passes over scores that every training step makes.

Called by :mod:`pruning.masking.score_adam`, :mod:`pruning.masking.masked_linear`, :mod:`pruning.masking.topk` and
:mod:`pruning.models.dropout`. The kernels are C++, compiled at the first use (:mod:`pruning.masking.kernels.compiler`); they
serve float32 on the CPU. Other tensors, and a machine without a compiler, take the plain twins, which define what is computed.
Whole steps on a GPU have programs of their own (:mod:`pruning.masking.kernels.triton`), chosen by
:mod:`pruning.training.backends`. Masks are equal to the last bit. Sums and updates are equal up to rounding: the kernels add in
float64 and have their own exponential, so a run is repeated bit by bit only with the same kernels, and a checkpoint belongs to
them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch

from pruning.masking import bits
from pruning.masking.kernels import compiler
from pruning.masking.kernels.cpu import CpuKernels

KernelName = Literal["native", "plain", "triton"]
"""Kernels that select and update scores; a checkpoint belongs to one of them."""

_plain_only = False


def cpu_kernels_for(*groups: Sequence[torch.Tensor | None], dtypes: Sequence[torch.dtype] = (torch.float32,)) -> CpuKernels | None:
    """The compiled kernels if they support these tensors (None: a tensor that this matrix lacks); None means plain."""
    if _plain_only or not all(_is_supported(tensor, dtypes) for tensors in groups for tensor in tensors):
        return None
    return _load()[0]


def apply_mask(base: torch.Tensor, packed: torch.Tensor, out: torch.Tensor) -> None:
    """out <- W ⊙ M, for a packed mask; ``out`` is contiguous, float32 or bfloat16."""
    if kernels := cpu_kernels_for([base]):
        kernels.apply_mask(base, packed, out)
    else:
        out.copy_(base * bits.unpack_tensor_lsb_first(packed, base.shape))


def kernel_name(device: torch.device) -> KernelName:
    """The kernels that this module chooses for float32 scores of a device; never the programs of a GPU's whole step."""
    return "native" if device.type == "cpu" and _load()[0] is not None and not _plain_only else "plain"


def unavailable_reason() -> str:
    """Why there are no compiled kernels on this machine; empty where there are."""
    return _load()[1]


@contextmanager
def plain_only() -> Iterator[None]:
    """The plain twins only; for tests and benchmarks that compare the two."""
    global _plain_only
    before, _plain_only = _plain_only, True
    try:
        yield
    finally:
        _plain_only = before


def _is_supported(tensor: torch.Tensor | None, dtypes: Sequence[torch.dtype]) -> bool:
    return tensor is None or (tensor.device.type == "cpu" and tensor.dtype in dtypes and tensor.is_contiguous())


@cache  # compiling takes seconds, failing too
def _load() -> tuple[CpuKernels | None, str]:
    """The kernels, or why there are none."""
    try:
        return CpuKernels(compiler.build_library()), ""
    except (compiler.KernelsUnavailableError, OSError) as fault:
        return None, str(fault)
