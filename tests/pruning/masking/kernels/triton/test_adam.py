"""Adam update of a GPU against the plain one, over steps; values that are not finite; the self-test before the first use."""

import math

import pytest
import torch
from torch import nn

from pruning.masking.kernels import dispatch
from pruning.masking.kernels.triton import adam_kernels, self_test
from pruning.masking.kernels.triton.adam import ScoreUpdate, StepScalars
from pruning.masking.kernels.triton.chunk_table import ChunkTable
from pruning.masking.kernels.triton.transfers import to_device_async
from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.score_adam import BETA1, BETA2, EPSILON, ScoreAdam

CPU = torch.device("cpu")
SHAPES = ((20, 35), (7, 5), (3, 1), (16, 16))
RATE, TEMPERATURE = 1e-2, 2.0


def layers_of() -> list[MaskedLinear]:
    torch.manual_seed(0)
    layers = [MaskedLinear(nn.Linear(columns, rows)) for rows, columns in SHAPES]
    for layer in layers:
        layer.scores.normal_()
    return layers


def numbers_of(step: int, regularization: float = 0.0, shift: float = 0.0) -> torch.Tensor:
    """As ScoreAdam has them, in transformers' manner."""
    size = -RATE * math.sqrt(1 - BETA2**step) / (1 - BETA1**step)
    return to_device_async(
        StepScalars(regularization, shift, 1.0, BETA1, 1 - BETA1, BETA2, 1 - BETA2, size, 1.0, EPSILON), torch.float64, CPU
    )


class Updated:
    """Scores of ``layers`` and their moments, moved by the programs."""

    def __init__(self, layers: list[MaskedLinear]) -> None:
        self.base, self.scores = [layer.base for layer in layers], [layer.scores for layer in layers]
        self.first, self.second = ([torch.zeros_like(s) for s in self.scores] for _ in range(2))
        self.update = ScoreUpdate(ChunkTable([s.numel() for s in self.scores], CPU, chunk=256, tile=128))

    def step(self, found: list[torch.Tensor], numbers: torch.Tensor, slopes: list[torch.Tensor] | None = None) -> None:
        out = [torch.empty_like(s) for s in self.scores]
        self.update.gradients(found, out, self.base, self.scores, slopes or [None] * len(out), numbers)
        self.update.clip_norm(numbers)
        self.update.adam(self.scores, out, self.first, self.second, numbers, [TEMPERATURE] * len(out))


@pytest.mark.parametrize("sloped", [False, True])
def test_updates_equal_those_of_the_plain_twin(sloped: bool) -> None:
    layers, plain = layers_of(), layers_of()
    ours, adam = Updated(layers), ScoreAdam(plain, penalty_shift=0.25 if sloped else 0.0)
    random = torch.Generator().manual_seed(1)
    for t in range(3):
        found = [10 ** (1 - t) * torch.randn(shape, generator=random) for shape in SHAPES]
        slopes = [torch.rand(shape, generator=random) for shape in SHAPES] if sloped else None
        for i, layer in enumerate(plain):
            layer.weight.grad, layer.gate_slope = found[i].clone(), slopes[i] if slopes else None
        with dispatch.plain_only():
            expected = adam.step(RATE, 30.0 * t)
        ours.step(found, numbers_of(t + 1, 30.0 * t, adam.penalty_shift), slopes)
        report = ours.update.report
        assert float(report[:4].mean()) == pytest.approx(expected.regularizer, rel=1e-5)
        assert report[4:8].sqrt().tolist() == pytest.approx(expected.grad_norms, rel=1e-5)
        assert float(report[8]) == pytest.approx(expected.grad_norm, rel=1e-5)
        for one, other in zip(ours.scores, plain, strict=True):
            torch.testing.assert_close(one, other.scores, rtol=1e-4, atol=1e-6)
        masses = [float(torch.sigmoid(s / TEMPERATURE).mean()) for s in ours.scores]
        assert ours.update.masses.tolist() == pytest.approx(masses, rel=1e-5)


def test_gradients_in_bf16_are_widened_and_otherwise_the_same() -> None:
    found = [torch.randn(shape).bfloat16() for shape in SHAPES]
    narrow, wide = Updated(layers_of()), Updated(layers_of())
    narrow.step(found, numbers_of(1, 30.0))
    wide.step([g.float() for g in found], numbers_of(1, 30.0))
    assert all(map(torch.equal, narrow.scores, wide.scores))


@pytest.mark.parametrize("where", ["gradient", "loss", "companion"])
def test_nothing_changes_once_a_value_is_not_finite(where: str) -> None:
    ours = Updated(layers_of())
    ours.step([torch.randn(shape) for shape in SHAPES], numbers_of(1))
    before = [tensor.clone() for tensor in (*ours.scores, *ours.first, *ours.second)]
    found = [torch.randn(shape) for shape in SHAPES]
    if where == "gradient":
        found[1][2] = math.inf
    elif where == "loss":
        ours.update.clip_norm(numbers_of(2), losses=to_device_async([0.5, math.nan], torch.float64, CPU))
    else:
        ours.update.clip_norm(numbers_of(2), others=to_device_async([1.0, math.inf], torch.float64, CPU))
    for t in (2, 3):  # later gradients are finite
        ours.step(found, numbers_of(t))
        found = [torch.randn(shape) for shape in SHAPES]
    assert float(ours.update.clipping[2]) == 0
    assert all(map(torch.equal, (*ours.scores, *ours.first, *ours.second), before))


def test_the_mass_found_alone_is_the_one_found_on_the_way() -> None:
    ours = Updated(layers_of())
    ours.step([torch.randn(shape) for shape in SHAPES], numbers_of(1))
    found = ours.update.masses.clone()
    ours.update.compute_masses(ours.scores, [TEMPERATURE] * 4)
    assert torch.equal(ours.update.masses, found)
    ours.update.compute_masses(ours.scores, [4.0, None, 4.0, 4.0])
    assert ours.update.masses[1] == 0
    assert ours.update.masses[0] == pytest.approx(float(torch.sigmoid(ours.scores[0] / 4.0).mean()), rel=1e-5)


def test_the_check_of_a_first_use_passes_and_notices_a_wrong_program(monkeypatch: pytest.MonkeyPatch) -> None:
    self_test.run_self_test(CPU, chunk=128, tile=64)
    right = adam_kernels.adam

    class SelfTestError:
        def __getitem__(self, grid: tuple[int]):  # type: ignore[no-untyped-def]
            return lambda *given, **options: right[grid](*given[:2], given[3], given[2], *given[4:], **options)

    monkeypatch.setattr(adam_kernels, "adam", SelfTestError())
    with pytest.raises(self_test.SelfTestError, match="moments"):
        self_test.run_self_test(CPU, chunk=128, tile=64)
