"""Availability of the Triton programs on a device: NVIDIA GPU, Triton installed, self-test passed.

Called by :mod:`pruning.training.backends`. Where the programs are not available, plain PyTorch is used and the run's log has
the reason. Triton is imported here, inside :func:`unavailable_reason`, and not before.
"""

import torch

_reasons: dict[tuple[torch.device, bool], str] = {}


def unavailable_reason(device: torch.device, *, whole: bool = True) -> str:
    """Why the programs cannot run on a device; empty where they can. ``whole``: all sizes are multiples of sixteen."""
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
    except Exception as fault:  # noqa: BLE001 - of a compiler, a driver, a missing C compiler: they have no class in common
        return f"the fused kernels do not work here: {' '.join(str(fault).split())[:300] or type(fault).__name__}"
    return ""
