"""``weights.safetensors``: parameters that a run trained in addition to scores, for the methods and options that train more.

Static pruning changes nothing and has no such file. Values of a masked matrix are stored only where its mask has ones, in
row-major order (``values.<module path>``); other parameters whole (``parameter.<name>``); a trained read-out, which takes the
place of the label words' rows in the output embedding, as ``readout.weight`` [C, E] and, where that embedding has biases,
``readout.bias`` [C]. Written at the end of training, read by predictions.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pruning.errors import PermanentError, failed_write

WEIGHTS = "weights.safetensors"
READOUT_WEIGHT, READOUT_BIAS = "readout.weight", "readout.bias"


@torch.no_grad()
def write(
    path: Path, model: nn.Module, masks: dict[str, torch.Tensor], parameters: Iterable[str], readout: nn.Linear | None = None
) -> None:
    """Store the kept values of the masked matrices ``masks`` (may be empty), whole ``parameters`` of ``model`` and a read-out.

    Raises OSError.
    """
    stored = {f"values.{name}": _weight(model, name)[mask].contiguous().cpu() for name, mask in masks.items()}
    stored |= {f"parameter.{name}": model.get_parameter(name).detach().contiguous().cpu() for name in parameters}
    if readout is not None:
        stored |= {f"readout.{name}": tensor.contiguous().cpu() for name, tensor in readout.state_dict().items()}
    try:
        save_file(stored, path)
    except SafetensorError as fault:
        raise failed_write(fault) from fault


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file. Raises PermanentError (``weights_invalid``) if it is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as fault:
        raise PermanentError(
            f"this mask belongs to a method that trained weights, and {path.name} in the same folder cannot be read ({fault}); "
            "download both artifacts of the job into one folder",
            code="weights_invalid",
            param="mask",
        ) from fault


@torch.no_grad()
def load_into(stored: Mapping[str, torch.Tensor], model: nn.Module, masks: Mapping[str, torch.Tensor], name_of_file: str) -> None:
    """Put the tensors of :func:`read`, except for the read-out, into ``model``; weights outside the masks become zero.

    Raises PermanentError (``weights_invalid``) if they are of another model.
    """
    try:
        for key, value in stored.items():
            if key in (READOUT_WEIGHT, READOUT_BIAS):
                continue
            kind, _, name = key.partition(".")
            if kind == "values":
                weight = _weight(model, name)
                weight.zero_()
                weight[masks[name]] = value.to(weight.device)
            elif kind == "parameter":
                model.get_parameter(name).copy_(value)
            else:
                raise KeyError(key)
    except (AttributeError, KeyError, RuntimeError, IndexError) as fault:
        raise foreign(name_of_file, fault) from fault


def foreign(name_of_file: str, reason: object) -> PermanentError:
    """The error for a file that is of another mask or model."""
    return PermanentError(f"{name_of_file} does not belong to this mask and model: {reason}", code="weights_invalid", param="mask")


def _weight(model: nn.Module, path: str) -> torch.Tensor:
    return model.get_parameter(f"{path}.weight")
