"""The passes over scores on a GPU: all matrices of a model in each launch, and no step that waits for a number.

Written in Triton, which comes with torch for GPUs; without it, or where :mod:`pruning.masking.kernels.triton.self_test`
finds that what was compiled computes something else, plain PyTorch does the work, and the run's log says why. Masks are the
same to the last bit; sums and updates are equal up to rounding, and a run is repeated bit by bit with the same kernels on
the same kind of GPU.

=========  ===============================================================================================
table      how matrices are cut into chunks, and the addresses of tensors
arrival    what the host wants to know, without waiting for it
bits       masks in bits
update     gradients, clipping, Adam: :class:`~pruning.masking.kernels.triton.adam.Update`
select     exact top-k, masks, masked weights: :class:`~pruning.masking.kernels.triton.topk.Selection`
shares     the counts of smp-s from the masses: :class:`~pruning.masking.kernels.triton.allocation.Shares`
=========  ===============================================================================================

Triton is imported with the last three, so only once it is known to be there: by :func:`reason`. Who uses them:
:mod:`pruning.training.gpu_pruner`.
"""

import torch

_reasons: dict[tuple[torch.device, bool], str] = {}


def unavailable_reason(device: torch.device, *, whole: bool = True) -> str:
    """Why there are no such kernels for a device; empty where there are. ``whole``: all sizes are multiples of sixteen."""
    if (device, whole) not in _reasons:
        _reasons[device, whole] = _tried(device, whole)
    return _reasons[device, whole]


def _tried(device: torch.device, whole: bool) -> str:
    if device.type != "cuda":
        return f"the fused kernels are for NVIDIA GPUs, not for {device.type}"
    try:
        from pruning.masking.kernels.triton import self_test
    except ImportError as fault:
        return f"Triton is not installed ({fault})"
    try:
        with torch.cuda.device(device):
            self_test.run_self_test(device, whole=whole)
    except torch.OutOfMemoryError:
        raise
    except Exception as fault:  # noqa: BLE001 - of a compiler, a driver, a C compiler that is missing: no class in common
        return f"the fused kernels do not work here: {' '.join(str(fault).split())[:300] or type(fault).__name__}"
    return ""
