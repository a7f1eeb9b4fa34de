"""AdamW over everything that is trained in addition to scores: masked weights, biases and norms, a new head.

Only for methods and options that ask for it; stepped by :class:`pruning.masking.score_adam.ScoreAdam`, which clips all gradients
together, or these on their own. Parameters trained here have left the base model and are stored with the mask
(:mod:`pruning.formats.trained_weights`).
"""

from collections.abc import Sequence

import torch
from torch import nn

from pruning.masking.masked_linear import MaskedLinear

_KEY = "companion"
"""First part of the names in a checkpoint, which checkpoints of earlier versions have."""


class WeightAdam:
    """AdamW (no weight decay) over the weights of ``layers`` and over ``others``, with one learning rate."""

    def __init__(self, layers: Sequence[MaskedLinear], others: Sequence[torch.Tensor], learning_rate: float) -> None:
        self._layers = list(layers)
        self._weights = [nn.Parameter(layer.base) for layer in self._layers]  # the same storage: W moves in place
        self.parameters = list(others)
        """Parameters outside the masked layers."""
        self._learning_rate = learning_rate
        self.learning_rate_share = 1.0
        """Factor of the learning rate in the next step; set before every step."""
        parameters = [*self._weights, *self.parameters]
        self._optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.0, foreach=False)

    @property
    def trains_masked_weights(self) -> bool:
        """Whether masked weights are trained."""
        return bool(self._weights)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return self._learning_rate * self.learning_rate_share

    def keep_moments_in(self, steps: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> None:
        """Let the moments of ``parameters`` be parts of two flat vectors, for a backend that takes the updates itself.

        ``steps`` is a scalar on the host. Requires that no masked weights are trained.
        """
        begin = 0
        for parameter in self.parameters:
            part = slice(begin, begin + parameter.numel())
            begin = part.stop
            self._optimizer.state[parameter] = {
                "step": steps,
                "exp_avg": first[part].view(parameter.shape),
                "exp_avg_sq": second[part].view(parameter.shape),
            }

    def collect_gradients(self) -> list[float]:
        """Take dL/dW = G ⊙ gates from the layers, before the scores' update overwrites G; norms of all gradients."""
        for layer, weight in zip(self._layers, self._weights, strict=True):
            gradient = layer.weight.grad
            weight.grad = torch.zeros_like(layer.base) if gradient is None else gradient * layer.gates
        return [
            float(torch.linalg.vector_norm(parameter.grad))
            for parameter in (*self._weights, *self.parameters)
            if parameter.grad is not None
        ]

    def step(self, clip: float) -> None:
        """Scale the gathered gradients by ``clip`` and update."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate
        for parameter in (*self._weights, *self.parameters):
            if parameter.grad is not None:
                parameter.grad.mul_(clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that the optimizer changed, by position: values and both moments; for checkpoints."""
        found: dict[str, torch.Tensor] = {}
        for i, parameter in enumerate((*self._weights, *self.parameters)):
            found[f"{_KEY}.{i}.value"] = parameter.detach()
            found |= {
                f"{_KEY}.{i}.{name}": value
                for name, value in self._optimizer.state.get(parameter, {}).items()
                if isinstance(value, torch.Tensor)
            }
        return found

    @torch.no_grad()
    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Put a state back."""
        for i, parameter in enumerate((*self._weights, *self.parameters)):
            parameter.copy_(state[f"{_KEY}.{i}.value"])
            prefix = f"{_KEY}.{i}."
            moments = {
                key.removeprefix(prefix): value.clone()
                for key, value in state.items()
                if key.startswith(prefix) and not key.endswith(".value")
            }
            held = self._optimizer.state.setdefault(parameter, {}) if moments else {}
            for name, value in moments.items():
                if name in held:
                    held[name].copy_(value)
                else:
                    held[name] = value if name == "step" else value.to(parameter.device)
