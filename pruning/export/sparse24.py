"""Semi-structured tensors for 2:4 masks: half the multiplications, in half precision, on GPUs that have the instruction.

Only torch's own ``to_sparse_semi_structured``. The file keeps the dense half-precision weights; they are compressed when
they are loaded, because the compressed layout is the GPU's.
"""

from typing import Any

import torch
from torch import nn

from pruning.errors import PermanentError
from pruning.masking.wrap import prunable_linears

_CAPABILITY = (8, 0)
_ROWS, _COLUMNS = 32, 64
"""Multiples that the kernels ask of a matrix in half precision."""
_DENSE = 0.99
"""Share of weights other than zero from which on a matrix counts as left dense: half precision rounds some to 0."""


def require_gpu() -> torch.device:
    """A GPU with the instruction. Raises PermanentError (``device_unsupported``) where there is none."""
    if not torch.cuda.is_available():
        raise PermanentError(
            "semi-structured needs an NVIDIA GPU, and this machine has none that torch can use; leave the export out",
            code="device_unsupported",
            param="exports",
        )
    found = torch.cuda.get_device_capability()
    if found < _CAPABILITY:
        raise PermanentError(
            f"semi-structured needs compute capability 8.0, {torch.cuda.get_device_name()} has {found[0]}.{found[1]}; "
            "leave the export out",
            code="device_unsupported",
            param="exports",
        )
    return torch.device("cuda")


def eligible_matrices(model: nn.Module) -> list[str]:
    """Paths of the matrices that the kernels can take.

    Raises PermanentError unless every matrix is 2:4 or was left dense (``sparsity_by``), and a 2:4 one fits.
    """
    linears = prunable_linears(model)
    halved = {path: is_two_four(linear.weight) for path, linear in linears.items()}
    for path, linear in linears.items():
        if not halved[path] and linear.weight.count_nonzero() < _DENSE * linear.weight.numel():
            raise PermanentError(
                f"{path} has more than two weights in a group of four; semi-structured needs a mask of pattern '2:4'",
                code="export_unsupported",
                param="exports",
            )
    paths = [
        path
        for path, linear in linears.items()
        if halved[path] and linear.out_features % _ROWS == 0 and linear.in_features % _COLUMNS == 0
    ]
    if not paths:
        raise PermanentError(
            f"no 2:4 matrix has multiples of {_ROWS} rows and {_COLUMNS} columns, which the kernels need; leave the export out",
            code="export_unsupported",
            param="exports",
        )
    return paths


def is_two_four(weight: torch.Tensor) -> bool:
    """Whether of any four neighbours in a row [out, in] at most two are not zero."""
    if weight.shape[1] % 4:
        return False
    return bool(((weight != 0).view(len(weight), -1, 4).sum(dim=2) <= 2).all())


def compress(model: nn.Module, device: torch.device) -> None:
    """Half precision on ``device``, and the matrices that fit as semi-structured tensors."""
    from torch.sparse import to_sparse_semi_structured

    paths = eligible_matrices(model)
    model.to(device=device, dtype=torch.float16)
    for path in paths:
        linear: Any = model.get_submodule(path)
        linear.weight = nn.Parameter(to_sparse_semi_structured(linear.weight.detach()), requires_grad=False)
