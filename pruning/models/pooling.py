"""Pooling of a sequence classifier: the states that its layers read, where a spec says which.

transformers' classes read position 0 of what the encoder returns, and ModernBERT what its configuration says. ``mean`` puts the
mean of the states under the attention mask, Σ m h / Σ m, at that position, as sentence-transformers' mean pooling (Reimers,
Gurevych, 2019, arXiv 1908.10084). Everything behind it, dense layer and activation, stays as the class has it. Which models allow
it is checked by :mod:`pruning.models.pooling_checks`. Called by :mod:`pruning.models.heads` and :mod:`pruning.export.stock_model`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pruning.models.pooling_checks import CONFIGURED, Pooling

_LEAST_TOKENS = 1e-9
"""Lower bound of the token count, as in sentence-transformers, for a row without tokens."""
_IN_CONFIGURATION: dict[Pooling, str] = {"first": "cls", "mean": "mean"}


class PoolingHook:
    """Pools the states of ``model``'s encoder by the mean; ``attended`` gives the attention mask [B, S] of the batch."""

    def __init__(self, model: Any, attended: Callable[[], torch.Tensor]) -> None:
        base = model.base_model
        # a pooler in the base model reads the states before the base model returns them
        module: nn.Module = base.encoder if getattr(base, "pooler", None) is not None else base
        self._attended = attended
        self._hook = module.register_forward_hook(self._pool)

    def remove(self) -> None:
        """Restore the model."""
        self._hook.remove()

    def _pool(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        output.last_hidden_state = masked_mean(output[0], self._attended()).unsqueeze(1)
        return output


class ConfiguredPooling:
    """Sets the pooling of a model that has it in its configuration."""

    def __init__(self, config: Any, pooling: Pooling) -> None:
        self._config, self._before = config, config.classifier_pooling
        configure_pooling(config, pooling)

    def remove(self) -> None:
        """Restore the configuration."""
        self._config.classifier_pooling = self._before


def configure_pooling(config: Any, pooling: Pooling | None) -> None:
    """Set the pooling in the configuration of a model that has it there, permanently."""
    if pooling is not None and config.model_type in CONFIGURED:
        config.classifier_pooling = _IN_CONFIGURATION[pooling]


def attach_pooling(
    model: Any, pooling: Pooling | None, attended: Callable[[], torch.Tensor]
) -> PoolingHook | ConfiguredPooling | None:
    """Make a sequence classification model read what ``pooling`` says; None where its class does so already."""
    if pooling is None:
        return None
    if model.config.model_type in CONFIGURED:
        return ConfiguredPooling(model.config, pooling)
    return PoolingHook(model, attended) if pooling == "mean" else None


def masked_mean(states: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """[B, H]: mean of the states [B, S, H] of the tokens under the attention mask [B, S]."""
    wide = torch.promote_types(states.dtype, torch.float32)  # a sum of many numbers in half precision loses digits
    inside = attended.unsqueeze(-1).to(wide)
    total = (states.to(wide) * inside).sum(dim=1)
    return (total / inside.sum(dim=1).clamp(min=_LEAST_TOKENS)).to(states.dtype)
