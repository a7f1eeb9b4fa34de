"""Roles of the linears in a repeated layer, found from the modules, so that compaction names no model type.

Called by :mod:`pruning.export.compaction`.

A layer is understood when it has exactly one attention (query, key, value and an output) and one feed-forward pair with an
elementwise activation between, and its attention reads its head size from an attribute, as BERT's relatives and GPT-2 do. Causal
attention changes nothing: the weights of a position sum to 1 over those that it sees.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import nn

from pruning.errors import PermanentError
from pruning.masking.wrap import prunable_linears
from pruning.spec.export_formats import COMPACT_TYPES

_ROLES = {"query": "query", "q_lin": "query", "key": "key", "k_lin": "key", "value": "value", "v_lin": "value"}
"""Last part of a path → role."""
_FUSED = "c_attn"
"""Last part of the path of a matrix whose rows are those of query, key and value, one behind the other."""
_HEAD_SIZES = ("attention_head_size", "head_dim")
"""Attributes of an attention from which it reads the size of its heads."""


@dataclass(frozen=True)
class Layer:
    """Paths of the linears of one repeated layer, and what stands between them."""

    attention: str
    """Module that splits heads by a size that :func:`head_size` reads."""
    query: str
    """The same as ``key`` and ``value`` where one matrix is all three, see :attr:`fused`."""
    key: str
    value: str
    output: str
    up: str
    down: str
    activation: nn.Module
    """Elementwise, between ``up`` and ``down``."""

    @property
    def fused(self) -> bool:
        """Whether one matrix holds query, key and value."""
        return self.query == self.key


def head_size(attention: Any) -> int | None:
    """Dimensions of each head of an attention; None where it has no attribute that could be changed."""
    sizes = (getattr(attention, name, None) for name in _HEAD_SIZES)
    return next((size for size in sizes if isinstance(size, int)), None)


def set_head_size(attention: Any, size: int) -> None:
    """Make an attention split heads of ``size``; its matrices have that size already, its scaling stays what it was."""
    name = next(name for name in _HEAD_SIZES if isinstance(getattr(attention, name, None), int))
    setattr(attention, name, size)
    if isinstance(getattr(attention, "split_size", None), int):
        attention.split_size = attention.get_submodule(_FUSED).out_features // 3


def map_layers(model: nn.Module) -> list[Layer]:
    """Every repeated layer of a model, in order. Raises PermanentError (``export_unsupported``) for any other structure."""
    linears = prunable_linears(model)
    return [_layer(model, prefix, list(paths)) for prefix, paths in groupby(linears, _prefix)]


def _prefix(path: str) -> str:
    """``bert.encoder.layer.3.output.dense`` → ``bert.encoder.layer.3``."""
    parts = path.split(".")
    number = next(i for i, part in enumerate(parts) if part.isdigit())
    return ".".join(parts[: number + 1])


def _layer(model: nn.Module, prefix: str, paths: list[str]) -> Layer:
    roles = {_ROLES[path.rpartition(".")[2]]: path for path in paths if path.rpartition(".")[2] in _ROLES}
    fused = [path for path in paths if path.rpartition(".")[2] == _FUSED]
    if len(fused) == 1 and not roles:
        roles = dict.fromkeys(("query", "key", "value"), fused[0])
    if len(roles) != 3:
        raise _unsupported(model, f"{prefix} has no separate query, key and value")
    attention = roles["query"].rpartition(".")[0]
    block = f"{prefix}.{attention.removeprefix(prefix + '.').split('.')[0]}."
    outputs = [path for path in paths if path.startswith(block) and path not in roles.values()]
    others = [path for path in paths if not path.startswith(block)]
    if len(outputs) != 1 or len(others) != 2:
        raise _unsupported(model, f"{prefix} has other linear layers than an attention's four and a feed-forward pair")
    module: Any = model.get_submodule(attention)
    if head_size(module) is None or not hasattr(module, "scaling"):
        raise _unsupported(model, f"{attention} has no head size that could be changed")
    up, down = others
    if _linear(model, up).out_features != _linear(model, down).in_features:
        raise _unsupported(model, f"{up} does not feed {down}")
    return Layer(attention, roles["query"], roles["key"], roles["value"], outputs[0], up, down, _activation(model, up))


def _activation(model: nn.Module, up: str) -> nn.Module:
    siblings = model.get_submodule(up.rpartition(".")[0]).children()
    found = [module for module in siblings if not isinstance(module, nn.Linear | nn.Dropout | nn.LayerNorm)]
    if len(found) != 1 or any(True for _ in found[0].parameters()):
        raise _unsupported(model, f"the activation behind {up} cannot be determined")
    probe = torch.tensor([-1.0, 0.5])
    with torch.no_grad():
        if not torch.allclose(found[0](probe)[1:], found[0](probe[1:])):
            raise _unsupported(model, f"the activation behind {up} is not elementwise")
    return found[0]


def _linear(model: nn.Module, path: str) -> nn.Linear:
    linear = model.get_submodule(path)
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"{path} is a {type(linear).__name__}, not a linear layer")
    return linear


def _unsupported(model: nn.Module, reason: str) -> PermanentError:
    return PermanentError(
        f"{type(model).__name__} cannot be compacted: {reason}; compact is for {', '.join(COMPACT_TYPES)}, "
        "export csr or onnx instead",
        code="export_unsupported",
        param="exports",
    )
