"""Updates of biases and norms on a GPU, run by the interpreter: those of the plain pruner, clipped together or apart, resumable."""

import math
from typing import Any

import pytest
import torch

from pruning.masking.kernels import dispatch
from pruning.masking.methods.smp import SmpS
from pruning.masking.weight_adam import WeightAdam
from pruning.training.checkpoint import capture, restore
from pruning.training.gpu_pruner import GpuPruner
from pruning.training.pruner import Pruner
from tests.graph_recorder import GraphRecorder
from tests.pruning.masking.kernels.triton.test_gpu_pruner import X, on_device, plain_of, with_dicts

SCALE = 1e4
"""Of the loss, so that its gradients are clipped."""


def with_biases(pruner: Pruner[Any], *, clip_apart: bool = False) -> Pruner[Any]:
    """52 biases are trained, more than one aligned read and no multiple of one; those of the last matrix have no gradient."""
    biases: list[Any] = [layer.bias for layer in pruner.matrices.layers.values()]
    for bias in biases:
        bias.requires_grad_()
    pruner.weight_adam = WeightAdam([], biases, 1e-2)
    pruner.optimizer.clip_apart = clip_apart
    whole = pruner.loss_of
    pruner.loss_of = lambda rows: SCALE * whole(rows)
    return pruner


def extras(pruner: Any) -> list[torch.Tensor]:
    state = pruner.weight_adam.state()
    return [state[name].clone() for name in sorted(state) if not name.endswith("step")]


def scores(pruner: Any) -> list[torch.Tensor]:
    return [layer.scores.clone() for layer in pruner.matrices.layers.values()]


@pytest.mark.parametrize("clip_apart", [False, True])
def test_the_steps_are_those_of_the_plain_pruner(clip_apart: bool) -> None:
    plain, other_plain = (with_biases(plain_of(SmpS()), clip_apart=clip_apart) for _ in range(2))
    ours = on_device(other_plain)
    begun = [value.clone() for value in extras(ours)]
    for t in range(2):
        with dispatch.plain_only():
            expected = plain.step(t, [X[:4], X[4:]])
        found = ours.step(t, [X[:4], X[4:]])
        assert found.kept == expected.kept
        assert expected.update.grad_norm > plain.optimizer.max_grad_norm
        assert found.update.grad_norm == pytest.approx(expected.update.grad_norm, rel=1e-5)
        together = found.update.grad_norm > math.hypot(*found.update.grad_norms) * 1.01
        assert together is not clip_apart
        for one, other in zip(scores(ours), scores(plain), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
        moved = plain.weight_adam.state()  # type: ignore[union-attr]
        for name, value in ours.weight_adam.state().items():  # type: ignore[union-attr]
            if name in moved:  # AdamW keeps none of what never had a gradient
                torch.testing.assert_close(value, moved[name], rtol=1e-4, atol=1e-6)
            elif not name.endswith("step"):
                assert not value.any()
    assert sum(not torch.equal(one, other) for one, other in zip(begun, extras(ours), strict=True)) == 9


def test_from_recordings_they_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    launched, recorded = (with_dicts(with_biases(plain_of(SmpS()))) for _ in range(2))
    one = on_device(launched)
    layers = list(recorded.matrices.layers.values())
    kept: Any = lambda: [tensor.grad for layer in layers for tensor in (layer.weight, layer.bias)]  # noqa: E731
    record = GraphRecorder(kept, monkeypatch)
    other = GpuPruner.from_pruner(recorded, chunk=128, tile=64, capture=record)
    for t in range(2):
        halves = [{"x": X[:4] + t}, {"x": X[4:] - t}]
        assert one.step(t, halves).update == other.step(t, halves).update
        assert all(map(torch.equal, extras(one), extras(other)))
    assert (record.recordings, other.take_warnings()) == (1, [])


def test_what_is_not_finite_changes_nothing() -> None:
    ours = on_device(with_biases(plain_of(SmpS())))
    ours.step(0, [X])
    before = extras(ours) + scores(ours)
    whole = ours.loss_of
    ours.loss_of = lambda rows: whole(rows) + math.inf
    bad = ours.launch(1, [X])
    ours.loss_of = whole
    later = ours.launch(2, [X])
    for result in (bad, later):
        with pytest.raises(FloatingPointError):
            result()
    assert all(map(torch.equal, extras(ours) + scores(ours), before))


def test_a_gradient_of_a_bias_that_is_not_finite_is_noticed() -> None:
    ours = on_device(with_biases(plain_of(SmpS())))
    last: Any = list(ours.matrices.layers.values())[-1].bias
    whole = ours.loss_of
    ours.loss_of = lambda rows: whole(rows) + 0 * torch.sqrt(last - last.detach()).sum()
    with pytest.raises(FloatingPointError, match="gradient"):
        ours.step(0, [X])


def test_a_restored_run_goes_on_to_the_same_bits() -> None:
    whole, cut = (on_device(with_biases(plain_of(SmpS()))) for _ in range(2))
    whole.step(0, [X])
    restore(capture(whole), 1, cut)
    assert whole.step(1, [X]).update == cut.step(1, [X]).update
    assert all(map(torch.equal, extras(whole) + scores(whole), extras(cut) + scores(cut)))
    assert cut.weight_adam.state()["companion.0.step"] == 2  # type: ignore[union-attr]
