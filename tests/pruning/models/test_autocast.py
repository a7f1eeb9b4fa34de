"""bf16: refused where the device has none, and close to float32 where it has."""

from pathlib import Path

import pytest
import torch

from pruning.errors import PermanentError
from pruning.models import autocast
from pruning.sources import Sources
from tests.pruning.runs import make_sources, of_kind, run_toy


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def test_a_device_without_bf16_is_refused_with_the_field_and_the_remedy(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autocast, "has_bf16", lambda device: False)
    with pytest.raises(PermanentError) as refusal:
        run_toy(sources, tmp_path, precision="bf16")
    assert (refusal.value.param, refusal.value.code) == ("precision", "precision_unavailable")
    assert not autocast.has_bf16(torch.device("cpu"))
    run_toy(sources, tmp_path, precision="fp32", max_steps=2)


@pytest.mark.slow
def test_a_run_in_bf16_stays_close_to_one_in_float32_and_keeps_its_scores_in_float32(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, captured: list[object]
) -> None:
    monkeypatch.setattr(autocast, "has_bf16", lambda device: True)
    losses = {}
    for name in ("fp32", "bf16"):
        # a strong prior: equal scores at the start would leave the masks to the rounding of the first gradients
        events = run_toy(sources, tmp_path / name, precision=name, dropout=0.0, prior_weights=1)
        losses[name] = of_kind(events, "step")[-1].loss
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.1)
    for run in captured:
        for layer in run.matrices.layers.values():  # type: ignore[attr-defined]
            assert layer.scores.dtype == layer.weight.dtype == torch.float32
