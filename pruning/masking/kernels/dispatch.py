"""The passes over scores that every training step makes, native where they can be and plain PyTorch elsewhere.

Called by :mod:`pruning.masking.score_adam`, :mod:`pruning.masking.masked_linear` and :mod:`pruning.masking.topk`. The
native kernels are a page of C++ each, compiled at the first use (:mod:`pruning.masking.kernels.compiler`); they serve
float32 on the CPU. Everything else, and a machine without a compiler, takes the plain twins, which define what is computed;
but for whole steps on a GPU (:mod:`pruning.training.gpu_pruner`), which have programs of their own
(:mod:`pruning.masking.kernels.triton.availability`). Masks are equal to the last bit. Sums and updates are equal up to
rounding: the kernels add in float64 and have their own exponential, so a run is repeated bit by bit only with the same
kernels, and a checkpoint belongs to them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch

from pruning.masking.kernels import compiler, cpu
from pruning.masking.kernels.cpu import CpuKernels
from pruning.masking.kernels.triton import bitmask

__all__ = [
    "CpuKernels",
    "KernelName",
    "apply_mask",
    "count_ones",
    "cpu_kernels_for",
    "kernel_name",
    "plain_only",
    "unavailable_reason",
    "unpack",
]

KernelName = Literal["native", "plain", "triton"]
"""What scores are worked on with; a checkpoint belongs to one of them."""

_native: CpuKernels | None = None
_reason = ""
_loaded = False
_switched_off = False


def cpu_kernels_for(
    *groups: Sequence[torch.Tensor | None], dtypes: Sequence[torch.dtype] = (torch.float32,)
) -> CpuKernels | None:
    """The native kernels if they can work on these tensors (None: not needed for this matrix); None means plain."""
    if _switched_off or not all(_fits(tensor, dtypes) for tensors in groups for tensor in tensors):
        return None
    _load()
    return _native


def apply_mask(base: torch.Tensor, packed: torch.Tensor, out: torch.Tensor) -> None:
    """out <- W ⊙ M, for a mask that a native selection packed; ``out`` is contiguous, float32 or bfloat16."""
    if native := cpu_kernels_for([base]):
        native.apply_mask(base, packed, out)
    else:
        out.copy_(base * unpack(packed, base.shape))


def unpack(packed: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A bool mask of a shape from bits, eight weights in a byte, lowest bit first; on their device."""
    return cpu.unpack(packed, shape) if packed.device.type == "cpu" else bitmask.unpack(packed, shape)


def count_ones(packed: torch.Tensor) -> int:
    """How many weights a packed mask keeps."""
    return cpu.count_ones(packed) if packed.device.type == "cpu" else bitmask.count_ones(packed)


def kernel_name(device: torch.device) -> KernelName:
    """What the passes called here work on float32 scores of a device with; never the programs of a GPU's whole step."""
    _load()
    return "native" if device.type == "cpu" and _native is not None and not _switched_off else "plain"


def unavailable_reason() -> str:
    """Why there are no native kernels on this machine; empty where there are."""
    _load()
    return _reason


@contextmanager
def plain_only() -> Iterator[None]:
    """The plain twins only; for tests and benchmarks that compare the two."""
    global _switched_off
    before, _switched_off = _switched_off, True
    try:
        yield
    finally:
        _switched_off = before


def _fits(tensor: torch.Tensor | None, dtypes: Sequence[torch.dtype]) -> bool:
    return tensor is None or (tensor.device.type == "cpu" and tensor.dtype in dtypes and tensor.is_contiguous())


def _load() -> None:
    """Once per process: compiling takes seconds, failing too."""
    global _native, _reason, _loaded
    if _loaded:
        return
    try:
        _native = CpuKernels(compiler.build_library())
    except (compiler.KernelsUnavailableError, OSError) as fault:
        _reason = str(fault)
    _loaded = True
