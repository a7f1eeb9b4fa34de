"""Exact compaction of an encoder: smaller matrices for the same function, without neurons, dimensions and heads that have no
effect.

Called by :mod:`pruning.export.build`.

What a row or column of zeros means in an encoder layer in evaluation mode:

- row i of the up matrix is empty: neuron i is act(b_i) everywhere, a constant that goes into the bias of the down matrix;
- column i of the down matrix is empty: neuron i is not read;
- a row of value is empty: that dimension is its bias at every position, and the attention weights of a position sum to 1,
  so it leaves the attention unchanged and goes into the bias of the attention's output matrix;
- a column of the output matrix is empty: that value dimension is not read;
- a row of key is empty: it adds the same to a query's score of every position, which softmax does not see;
- a row of query is empty: its bias times the key remains. All such dimensions of a head are one, of the summed key.

A head without remaining value dimensions is removed. Heads of one layer stay equally wide, as the stock modules want them:
narrower ones are filled up with zeros. Nothing else is removed, so the logits are those of the dense model up to rounding.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pruning.export.layer_map import Layer, head_size, map_layers, set_head_size

_MULTIPLE = 8
"""Heads of 56 dimensions are faster than heads of 55: vector units take eight numbers at a time."""


@dataclass(frozen=True)
class Affine:
    """A linear layer in float64: ``weight`` [out, in], ``bias`` [out]."""

    weight: torch.Tensor
    bias: torch.Tensor

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> "Affine":
        """A copy, so that folding sums are not rounded twice."""
        weight = linear.weight.detach().double()
        return cls(weight, torch.zeros(len(weight)).double() if linear.bias is None else linear.bias.detach().double())

    def linear(self) -> nn.Linear:
        """Back in float32."""
        rows, columns = self.weight.shape
        made = nn.Linear(columns, rows, device="meta")
        made.weight = nn.Parameter(self.weight.float().contiguous(), requires_grad=False)
        made.bias = nn.Parameter(self.bias.float().contiguous(), requires_grad=False)
        return made


@torch.no_grad()
def compact(model: nn.Module) -> dict[str, int]:
    """Shrink every repeated layer of ``model`` in place; module path of each attention → its new head size.

    The model keeps its forward: linears are smaller and the attention's head size is another, its scaling is not. Raises
    PermanentError (``export_unsupported``) before anything is changed.
    """
    layers = map_layers(model)
    model.eval()
    sizes = {}
    for layer in layers:
        attention: Any = model.get_submodule(layer.attention)
        before = head_size(attention)
        assert before is not None  # noqa: S101 - map_layers refuses others
        parts, size = compact_attention(*_attention_parts(model, layer), before, _MULTIPLE)
        paths: list[str] = [layer.query, layer.key, layer.value, layer.output]
        if layer.fused:
            joined = Affine(torch.cat([part.weight for part in parts[:3]]), torch.cat([part.bias for part in parts[:3]]))
            paths, parts = [layer.query, layer.output], [joined, parts[3]]
        for path, part in zip(paths, parts, strict=True):
            replace_module(model, path, part.linear())
        set_head_size(attention, size)
        sizes[layer.attention] = size
        up, down = (Affine.from_linear(_linear(model, path)) for path in (layer.up, layer.down))
        for path, part in zip((layer.up, layer.down), compact_feed_forward(up, down, layer), strict=True):
            replace_module(model, path, part.linear())
    return sizes


def _attention_parts(model: nn.Module, layer: Layer) -> tuple[Affine, Affine, Affine, Affine]:
    """Query, key, value and output of a layer."""
    output = Affine.from_linear(_linear(model, layer.output))
    if not layer.fused:
        query, key, value = (Affine.from_linear(_linear(model, path)) for path in (layer.query, layer.key, layer.value))
        return query, key, value, output
    fused = Affine.from_linear(_linear(model, layer.query))
    query, key, value = map(Affine, fused.weight.chunk(3), fused.bias.chunk(3))
    return query, key, value, output


def compact_feed_forward(up: Affine, down: Affine, layer: Layer) -> tuple[Affine, Affine]:
    """Up [m, h] and down [h, m] of a feed-forward pair without dead neurons; one is kept where all are dead."""
    silent = _empty(up.weight, 1)
    constants = layer.activation(up.bias[silent].float()).double()
    bias = down.bias + down.weight[:, silent] @ constants
    live = ~silent & ~_empty(down.weight, 0)
    if not live.any():
        zeros = torch.zeros_like
        return Affine(zeros(up.weight[:1]), zeros(up.bias[:1])), Affine(zeros(down.weight[:, :1]), bias)
    return Affine(up.weight[live], up.bias[live]), Affine(down.weight[:, live], bias)


def compact_attention(
    query: Affine, key: Affine, value: Affine, output: Affine, size: int, multiple: int = 1
) -> tuple[list[Affine], int]:
    """Query, key, value [n·size, h] and output [h, n·size] of n heads, and the size of the heads that remain.

    That size is rounded up to a ``multiple``, though never above what it was.
    """
    silent = _empty(value.weight, 1)
    bias = output.bias + output.weight[:, silent] @ value.bias[silent]
    live = (~silent & ~_empty(output.weight, 0)).view(-1, size)
    heads = [_compact_head(query, key, value, output, h, live[h]) for h in range(len(live)) if live[h].any()]
    if not heads:
        nothing = Affine(query.weight[:0], query.bias[:0])
        heads = [(nothing, nothing, nothing, Affine(output.weight[:, :0], output.bias))]
    width = max(1, *(len(part.bias) for head in heads for part in head[:3]))
    width = min(size, -(-width // multiple) * multiple)
    stacked = []
    for i in range(3):
        rows = [_padded(head[i], width) for head in heads]
        stacked.append(Affine(torch.cat([row.weight for row in rows]), torch.cat([row.bias for row in rows])))
    columns = [nn.functional.pad(head[3].weight, (0, width - head[3].weight.shape[1])) for head in heads]
    return [*stacked, Affine(torch.cat(columns, dim=1), bias)], width


def _compact_head(
    query: Affine, key: Affine, value: Affine, output: Affine, h: int, live: torch.Tensor
) -> tuple[Affine, Affine, Affine, Affine]:
    """One head's query, key and value rows and output columns that do something."""
    size = len(live)
    rows = slice(h * size, (h + 1) * size)
    q, k, v = (Affine(part.weight[rows], part.bias[rows]) for part in (query, key, value))
    seen = ~_empty(k.weight, 1)
    moving, still = seen & ~_empty(q.weight, 1), seen & _empty(q.weight, 1) & (q.bias != 0)
    q_head, k_head = Affine(q.weight[moving], q.bias[moving]), Affine(k.weight[moving], k.bias[moving])
    if still.any():
        factor = q.bias[still]
        q_head = Affine(
            torch.cat([q_head.weight, torch.zeros_like(q.weight[:1])]), torch.cat([q_head.bias, torch.ones(1).double()])
        )
        k_head = Affine(
            torch.cat([k_head.weight, (factor @ k.weight[still])[None]]), torch.cat([k_head.bias, (factor @ k.bias[still])[None]])
        )
    return q_head, k_head, Affine(v.weight[live], v.bias[live]), Affine(output.weight[:, rows][:, live], output.bias)


def _padded(part: Affine, width: int) -> Affine:
    missing = width - len(part.bias)
    return Affine(nn.functional.pad(part.weight, (0, 0, 0, missing)), nn.functional.pad(part.bias, (0, missing)))


def _empty(weight: torch.Tensor, dim: int) -> torch.Tensor:
    return (weight == 0).all(dim=dim)


def _linear(model: nn.Module, path: str) -> nn.Linear:
    linear = model.get_submodule(path)
    if not isinstance(linear, nn.Linear):
        raise TypeError(f"{path} is a {type(linear).__name__}, not a linear layer")
    return linear


def replace_module(model: nn.Module, path: str, module: nn.Module) -> None:
    """Replace the module at ``path``."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
