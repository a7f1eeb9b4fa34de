"""bf16 autocast for forward and backward passes, on devices that compute in it; scores, masks and updates are always float32.

Called by :mod:`pruning.training`: once to refuse a run early, and around every forward pass. A device that only emulates bf16
would be slower and less exact at once, so it is refused.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

from pruning.errors import PermanentError


def require_precision(precision: str, device: torch.device) -> None:
    """Raise PermanentError, naming ``precision``, if the device has no instructions for it."""
    if precision == "bf16" and not has_bf16(device):
        what = "this GPU" if device.type == "cuda" else "this processor has neither AVX512_BF16 nor AMX and"
        raise PermanentError(
            f"{what} cannot compute in bf16; set precision to fp32 or run the job on a device that can",
            code="precision_unavailable",
            param="precision",
        )


def has_bf16(device: torch.device) -> bool:
    """Whether a device has instructions for bf16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def for_precision(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Context of a forward pass: linear layers and attention in bf16; operations that need range, and sums, in float32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
