"""Signal-to-noise of the scores' gradients: 1/19 for noise, 1 for a signal, for any regulariser."""

import pytest
import torch
from torch import nn

from pruning.masking import signal_meter
from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.signal_meter import NOISE_FLOOR, WINDOW, SignalMeter

SHAPE = (40, 50)


def layers() -> list[MaskedLinear]:
    torch.manual_seed(0)
    return [MaskedLinear(nn.Linear(SHAPE[1], SHAPE[0])) for _ in range(2)]


def noise(step: int) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(step)
    return [torch.randn(SHAPE, generator=random).pow(3) for _ in range(2)]


def value(meter: SignalMeter) -> float:
    found = meter.read()
    assert found is not None
    return float(found)


def test_noise_has_the_floor_and_equal_gradients_have_one() -> None:
    heard, equal = (SignalMeter(layers(), WINDOW) for _ in range(2))
    for step in range(1, WINDOW + 1):
        heard.add(step, noise(step))
        equal.add(step, noise(0))
    assert value(heard) == pytest.approx(NOISE_FLOOR, rel=0.05)
    assert value(equal) == pytest.approx(1.0)


def test_the_regulariser_is_no_signal() -> None:
    adam = ScoreAdam(layers(), total_steps=WINDOW)
    for step in range(1, WINDOW + 1):
        for layer, found in zip(adam.layers, noise(step), strict=True):
            layer.weight.grad = 1e-6 * found
        adam.step(0.01, regularization=400.0)
    assert value(adam.signal) == pytest.approx(NOISE_FLOOR, rel=0.05)
    m, v = adam.first[0] / (1 - 0.9**WINDOW), adam.second[0] / (1 - 0.999**WINDOW)
    assert float((m * m / v).mean()) > 0.9  # Adam's own moments hear nothing else


def test_windows_end_at_even_distances_from_the_end_and_a_cut_one_is_not_read() -> None:
    meter = SignalMeter(layers(), 1000)
    assert [step for step in range(1001) if meter.measures_after(step)] == list(range(40, 1001, 40))
    for step in range(30, 41):  # resumed within the window
        meter.add(step, noise(step))
    assert meter.read() is None
    for step in range(41, 81):
        meter.add(step, noise(step))
    assert value(meter) == pytest.approx(NOISE_FLOOR, rel=0.05)


def test_a_sample_of_the_scores_is_enough_and_those_without_gradients_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_meter, "_SAMPLED", 400)
    meter = SignalMeter(layers(), WINDOW)
    for step in range(1, WINDOW + 1):
        meter.add(step, [part * (torch.arange(SHAPE[0]) % 2)[:, None] for part in noise(0)])
    assert value(meter) == pytest.approx(1.0)


def test_there_is_no_measurement_without_scores_or_before_the_first_window() -> None:
    assert SignalMeter(layers(), 1000).read() is None
    empty = SignalMeter([], WINDOW)
    for step in range(1, WINDOW + 1):
        empty.add(step, [])
    assert empty.read() is None
