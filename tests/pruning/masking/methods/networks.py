"""Small networks for the method tests: a spec's method on the reference network, built as ``pruning.training.setup`` builds it."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pruning.masking.methods.base import Calibration
from pruning.masking.methods.registry import create_method
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import Matrices, wrap_linears
from pruning.spec.schema import PruningSpec
from pruning.training.pruner import Pruner
from tests.pruning.masking.methods import reference


def spec_of(method: str, **fields: Any) -> PruningSpec:
    """A spec of a method over the reference's steps."""
    length = {"max_steps": reference.STEPS} if method not in ("wanda", "random") and not fields.get("one_shot") else {}
    return PruningSpec.model_validate({"model": "m", "task": "sst2", "method": method, **length, **fields})


def matrices_of(*weights: Tensor) -> Matrices:
    """Masked layers ``0``, ``1``, ... with these weights."""
    return wrap_linears(nn.ModuleList(linear_of(weight) for weight in weights))


def linear_of(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A layer with this weight."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    linear.weight = nn.Parameter(weight.clone())
    if bias is not None:
        linear.bias = nn.Parameter(bias.clone())
    return linear


def no_rows() -> Calibration:
    """For methods that read no activations."""
    return Calibration(forward=lambda inputs: None, batches=iter(()))


def set_scores(matrices: Matrices, scores: Iterable[Tensor]) -> None:
    """Put these scores in."""
    for layer, values in zip(matrices.layers.values(), scores, strict=True):
        layer.scores.copy_(values)


def pruner_of(spec: PruningSpec, *, loss_scale: float = 1.0) -> Pruner[tuple[Tensor, Tensor]]:
    """The reference's network under ``spec``, scores begun."""
    model = nn.ModuleList(linear_of(w, b) for w, b in zip(*reference.start(), strict=True))
    matrices = wrap_linears(model)
    layers, info, method = list(matrices.layers.values()), spec.method_info, create_method(spec)
    biases = [layer.bias.requires_grad_() for layer in layers] if spec.train_biases else []
    trained = layers if info.trains_weights and not spec.one_shot else []

    def loss_of(batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        loss: Tensor = loss_scale * (model[1](torch.tanh(model[0](x))) - y).square().mean()
        return loss

    method.initialize(matrices, no_rows())
    return Pruner(
        matrices=matrices,
        method=method,
        optimizer=ScoreAdam(layers if info.trains_scores else [], penalty_shift=method.penalty_shift),
        schedule=Schedule.from_spec(spec, reference.STEPS),
        loss_of=loss_of,
        weight_adam=WeightAdam(trained, biases, spec.weight_learning_rate) if trained or biases else None,
    )


def compare_step_by_step(pruner: Pruner[tuple[Tensor, Tensor]], expected: reference.Reference) -> None:
    """Both, step by step: gates, scores, weights and biases must stay the same."""
    layers = list(pruner.matrices.layers.values())
    for t in range(reference.STEPS):
        gates = expected.step(t)
        pruner.step(t, [reference.inputs()])
        for i, layer in enumerate(layers):
            assert_close(layer.gates.double(), gates[i], f"gates of step {t}")
            assert_close(layer.base, expected.weights[i], f"weights after step {t}")
            assert_close(layer.bias, expected.biases[i], f"biases after step {t}")
            if expected.trains_scores:
                assert_close(layer.scores, expected.scores[i], f"scores after step {t}")


def assert_close(got: Tensor, wanted: Tensor, what: str) -> None:
    """Equal except for the rounding of double precision."""
    torch.testing.assert_close(got.detach(), wanted.detach(), rtol=1e-8, atol=1e-11, msg=lambda text: f"{what}: {text}")
