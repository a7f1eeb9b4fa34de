"""Position slicing: everything after the last attention is computed for the one position whose state is read.

A label word's logit needs one state of the encoder. After the attention of the last layer nothing mixes positions, and the
gradients of all other positions are zero, so leaving them out changes no number but by rounding; it saves nine twelfths of a
layer, forward and backward. No architecture is named: the module is the one of the last layer that adds the attention's output
to the residual, if one takes both, and :func:`attach_if_exact` tries it before it is used. Called by
:mod:`pruning.models.heads`.
"""

import inspect
from collections.abc import Callable

import torch
from torch import nn

_TAKES = ["hidden_states", "input_tensor"]
"""Arguments of such a module in BERT and all that descend from it: attention's output [B, S, H], residual [B, S, H]."""
Positions = Callable[[], torch.Tensor]


class PositionSlicing:
    """Keeps the states of one position of each row before ``module`` sees them: [B, S, H] becomes [B, 1, H].

    ``positions`` gives that position, [B]. ``enabled`` may be switched at any time.
    """

    def __init__(self, module: nn.Module, positions: Positions) -> None:
        self.enabled = True
        self._positions = positions
        self._hook = module.register_forward_pre_hook(self._cut)

    def remove(self) -> None:
        """Remove the hook from the module."""
        self._hook.remove()

    def _cut(self, _module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        if not self.enabled:
            return None
        return tuple(select_positions(states, self._positions()) for states in inputs)


def select_positions(states: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """[B, 1, H]: of every row of ``states`` [B, S, H] the one at its position."""
    rows = torch.arange(states.shape[0], device=states.device)
    return states[rows, positions].unsqueeze(1)


def residual_module(model: nn.Module) -> nn.Module | None:
    """The module of the last of several layers that adds attention to the residual; None where no module takes the two."""
    count = getattr(getattr(model, "config", None), "num_hidden_layers", 0)
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count > 1:
            inner = (part for part in module[-1].modules() if list(inspect.signature(part.forward).parameters) == _TAKES)
            return next(inner, None)
    return None


@torch.no_grad()
def attach_if_exact(model: nn.Module, positions: Positions, logits: Callable[[], torch.Tensor]) -> PositionSlicing | None:
    """Slice positions if ``logits`` () of a trial batch stay as they were; None where the model does not allow it.

    ``model`` is in training mode again afterwards if it was before.
    """
    module = residual_module(model)
    if module is None:
        return None
    was_training = model.training
    model.eval()
    expected = logits()
    slicing = PositionSlicing(module, positions)
    try:
        same = torch.allclose(logits(), expected, rtol=1e-3, atol=1e-4)
    except (RuntimeError, ValueError, IndexError, TypeError):  # a model that needs the whole sequence after that module
        same = False
    model.train(was_training)
    if same:
        return slicing
    slicing.remove()
    return None
