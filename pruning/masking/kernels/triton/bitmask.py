"""Masks in bits on a GPU, read by plain PyTorch: what :mod:`pruning.masking.kernels.cpu` does for those in the host's memory."""

import torch


def unpack(packed: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A bool mask of a shape from uint8 [ceil(weights / 8)], lowest bit first, on its device; the host does not wait."""
    return _bits(packed).view(-1)[: shape.numel()].view(shape).bool()


def count_ones(packed: torch.Tensor) -> int:
    """How many weights a packed mask keeps; the host waits for the answer."""
    return int(_bits(packed).sum())


def _bits(packed: torch.Tensor) -> torch.Tensor:
    """uint8 [bytes, 8]; the bits behind the last weight are zeros."""
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    return (packed.unsqueeze(1) >> places) & 1
