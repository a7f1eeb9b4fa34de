"""Wrapping of the linear layers inside repeated layers: any Hugging Face model gets a :class:`MaskedLinear` in place of each.

No architecture is named: a repeated layer is a module whose path has a number in it (``encoder.layer.3``), as in every
``nn.ModuleList``. Matrices of the same kind (all query matrices, say) share a path once the number is taken out; they form a
*group*. Embeddings, norms, biases and heads stay as they are. Called by training, exports and predictions.
"""

from dataclasses import dataclass

import torch
from torch import nn

from pruning.errors import PermanentError
from pruning.masking import allocation
from pruning.masking.layer_sparsity import LayerSparsity, Shape
from pruning.masking.masked_linear import MaskedLinear


@dataclass(frozen=True)
class Matrices:
    """The masked matrices of one model, in module order, and their groups."""

    layers: dict[str, MaskedLinear]
    """Module path → layer, e.g. ``bert.encoder.layer.0.attention.self.query``."""
    groups: dict[str, list[str]]
    """Path pattern → module paths, e.g. ``bert.encoder.layer.*.attention.self.query``."""
    own: LayerSparsity | None = None
    """Which matrices have a sparsity of their own; None where none has."""

    @property
    def shapes(self) -> dict[str, Shape]:
        """Module path → (out, in)."""
        return {path: (layer.out_features, layer.in_features) for path, layer in self.layers.items()}

    @property
    def sizes(self) -> list[int]:
        """Weights of each matrix."""
        return [layer.base.numel() for layer in self.layers.values()]

    @property
    def total(self) -> int:
        """Masked weights of the model."""
        return sum(self.sizes)

    def uniform_counts(self, remaining: float) -> list[int]:
        """Ones of each matrix at the same share of each, except for those with a sparsity of their own."""
        if self.own is None:
            return allocation.uniform(self.sizes, remaining)
        return self.own.counts(self.shapes, remaining, "matrix")

    @property
    def masks(self) -> dict[str, torch.Tensor]:
        """Module path → mask (bool, [out, in])."""
        return {path: layer.mask for path, layer in self.layers.items()}


def prunable_linears(model: nn.Module) -> dict[str, nn.Linear]:
    """Module path → linear, for every linear inside a repeated layer of the encoder.

    Raises PermanentError if there is none: such a model would otherwise train for hours without effect.
    """
    encoder = getattr(model, getattr(model, "base_model_prefix", ""), model)
    prefix = next((name for name, module in model.named_modules() if module is encoder), "")
    found = {
        f"{prefix}.{path}" if prefix else path: module
        for path, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and any(part.isdigit() for part in path.split("."))
    }
    if not found:
        raise PermanentError(
            f"{type(model).__name__} has no linear layer inside repeated layers, so there is nothing to prune; "
            "choose an encoder such as BERT, RoBERTa, DistilBERT or ELECTRA",
            code="model_nothing_to_prune",
            param="model",
        )
    return found


def wrap_linears(model: nn.Module) -> Matrices:
    """Freeze ``model`` and put a MaskedLinear in place of every prunable linear; the model computes what it did before."""
    model.requires_grad_(requires_grad=False)
    layers: dict[str, MaskedLinear] = {}
    groups: dict[str, list[str]] = {}
    for path, linear in prunable_linears(model).items():
        layer = MaskedLinear(linear)
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, layer)
        layers[path] = layer
        groups.setdefault(allocation.group_pattern(path), []).append(path)
    return Matrices(layers, groups)
