"""The transform of a masked language model's head as one more encoder layer, which computes the same numbers.

Label words are read from ``LayerNorm(act(W h + b))``, the transform of the language model's head. Sequence classification
classes of BERT and its relatives have no such norm behind their encoder, but every one of their layers ends with one. In a
layer whose attention adds nothing the feed-forward pair has to give ``act(W h + b) - h``, to which the residual adds ``h``;
and since ``act(h) - act(-h) = h`` for GELU, SiLU and ReLU in every form, it is

    up = [W; I; -I],  down = [1, -I, I]

The attention's norm must leave ``h`` as it is. Its weight and bias are those of the norm before it, which keeps only the
size of its rows: normalising what is normalised changes it by the epsilon of the norms, see :func:`_usual_size`. Called by
:mod:`pruning.export.sequence_classifier`.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Parts:
    """Paths in a model type: its layers (from the encoder), what each is made of, and the transform of its head."""

    layers: str
    attention_norm: str
    up: str
    down: str
    output_norm: str
    dense: str
    norm: str
    layer_count: str = "num_hidden_layers"
    """Name of the configuration's field."""
    width: str = "intermediate_size"


_BERT = ("encoder.layer", "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm")
_MPNET = ("encoder.layer", "attention.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm")
_DISTILBERT = ("transformer.layer", "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm")
PARTS = {
    "bert": Parts(*_BERT, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
    "camembert": Parts(*_BERT, "lm_head.dense", "lm_head.layer_norm"),
    "deberta-v2": Parts(*_BERT, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm"),
    "distilbert": Parts(*_DISTILBERT, "vocab_transform", "vocab_layer_norm", "n_layers", "hidden_dim"),
    "electra": Parts(*_BERT, "generator_predictions.dense", "generator_predictions.LayerNorm"),
    "mpnet": Parts(*_MPNET, "lm_head.dense", "lm_head.layer_norm"),
    "roberta": Parts(*_BERT, "lm_head.dense", "lm_head.layer_norm"),
    "xlm-roberta": Parts(*_BERT, "lm_head.dense", "lm_head.layer_norm"),
}


@torch.no_grad()
def append_transform(model: Any, run: Callable[[], object]) -> None:
    """Add the layer to the encoder of ``model``, a masked language model, in place.

    Afterwards the states that leave the encoder, [B, S, H], are those of the transform, repeated where it is narrower than
    the states. ``run`` calls the model on a few rows. Requires :func:`misfit` to be None.
    """
    parts, config = PARTS[model.config.model_type], model.config
    layers = model.base_model.get_submodule(parts.layers)
    before = layers[-1].get_submodule(parts.output_norm)
    size = _usual_size(before, run)
    layer = copy.deepcopy(layers[-1])
    feed_forward = [layer.get_submodule(path) for path in (parts.up, parts.down)]
    for module in layer.modules():  # its attention mixes nothing and adds nothing
        if isinstance(module, nn.Linear) and module not in feed_forward:
            _fill(module, torch.zeros_like(module.weight), torch.zeros(module.out_features))
    attention_norm = layer.get_submodule(parts.attention_norm)
    attention_norm.weight.copy_(before.weight)
    attention_norm.bias.copy_(before.bias)
    before.weight.fill_(size)
    before.bias.zero_()
    dense, norm = model.get_submodule(parts.dense), model.get_submodule(parts.norm)
    states, inner = dense.in_features, dense.out_features
    width = max(getattr(config, parts.width), inner + 2 * states)
    one = torch.eye(states)
    up = torch.cat([dense.weight, one, -one])
    down = torch.cat([torch.eye(inner).repeat(states // inner, 1), -one, one], dim=1)
    _fill(feed_forward[0], up, dense.bias, width, states)
    _fill(feed_forward[1], down, torch.zeros(states), states, width)
    output_norm = layer.get_submodule(parts.output_norm)
    output_norm.weight.copy_(norm.weight.repeat(states // inner))
    output_norm.bias.copy_(norm.bias.repeat(states // inner))
    _widen(layers, parts, width)
    layers.append(layer)
    setattr(config, parts.layer_count, len(layers))
    setattr(config, parts.width, width)


def misfit(model: Any) -> str | None:
    """Why the encoder of a masked language model cannot have such a layer; None where it can."""
    name = type(model).__name__
    parts = PARTS.get(model.config.model_type)
    if model.config.model_type == "mobilebert":
        return f"the layers of {name} have bottlenecks, so none can be added that computes its head"
    if parts is None:
        return f"{name} uses one layer's weights for all of its layers, so none can be added that computes its head"
    dense = model.get_submodule(parts.dense)
    if dense.in_features % dense.out_features:
        return f"the head of {name} is {dense.out_features} wide, its states {dense.in_features}, which is not a multiple of it"
    return None


def _usual_size(norm: nn.Module, run: Callable[[], object]) -> float:
    """What a second norm does not change: the root of the usual variance in front of ``norm``, plus its epsilon.

    A norm gives x / sqrt(v + ε) of variance v / (v + ε); scaled by s, the next one divides it by sqrt(s² v / (v + ε) + ε),
    which is s exactly where s² = v + ε. Rows of another variance differ by about ε (1 / v - 1 / s²) / 2: 1e-12 in BERT, 1e-6
    and less in models with an epsilon of 1e-5.
    """
    found: list[torch.Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0].var(dim=-1, correction=0).reshape(-1)))
    try:
        run()
    finally:
        hook.remove()
    variance = torch.cat(found).double().median()
    return float((variance + norm.eps).sqrt())  # type: ignore[operator]


def _widen(layers: nn.ModuleList, parts: Parts, width: int) -> None:
    """Pad the existing layers with neurons that have no effect: all layers have one width."""
    for layer in layers:
        up, down = layer.get_submodule(parts.up), layer.get_submodule(parts.down)
        _fill(up, up.weight, up.bias, width, up.in_features)  # type: ignore[arg-type]
        _fill(down, down.weight, down.bias, down.out_features, width)  # type: ignore[arg-type]


def _fill(linear: Any, weight: torch.Tensor, bias: torch.Tensor, rows: int | None = None, columns: int | None = None) -> None:
    """Set a linear layer's weight and bias, padded with zeros to ``rows`` x ``columns``."""
    rows, columns = rows or len(weight), columns or weight.shape[1]
    grown = torch.zeros(rows, columns)
    grown[: weight.shape[0], : weight.shape[1]] = weight
    shift = torch.zeros(rows)
    shift[: len(bias)] = bias
    linear.weight = nn.Parameter(grown, requires_grad=False)
    if linear.bias is not None:
        linear.bias = nn.Parameter(shift, requires_grad=False)
    linear.out_features, linear.in_features = rows, columns
