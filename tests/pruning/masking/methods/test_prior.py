"""A Wanda prior: scores begin as the log saliency of each matrix, centred and scaled, and then move as ever."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pruning.formats import mask_file
from pruning.masking.methods.prior import WandaPrior
from pruning.masking.methods.registry import create_method
from pruning.masking.methods.smp_l import SmpL
from pruning.training.setup import set_up
from tests.pruning.masking.methods import networks
from tests.pruning.masking.methods.test_wanda import by_hand, network_and_batches
from tests.pruning.runs import make_sources, run_toy, spec_of


@pytest.mark.parametrize("strength", [0.1, 2.0])
def test_scores_begin_as_standardised_log_saliencies_of_each_matrix(strength: float) -> None:
    matrices, calibration, batches, _ = network_and_batches()
    WandaPrior(SmpL(), strength).begin(matrices, calibration)
    for layer, saliency in zip(matrices.layers.values(), by_hand(batches), strict=True):
        logs = np.log(saliency.numpy())
        expected = strength * (logs - logs.mean()) / logs.std(ddof=1)
        np.testing.assert_allclose(layer.scores.numpy(), expected, rtol=1e-9, atol=1e-12)
        assert float(layer.scores.mean()) == pytest.approx(0, abs=1e-12)
        assert float(layer.scores.std()) == pytest.approx(strength)


def test_a_weight_of_exactly_zero_does_not_spoil_the_rest() -> None:
    matrices, calibration, _, model = network_and_batches()
    model[0].base[0, 0] = 0.0
    WandaPrior(SmpL(), 0.1).begin(matrices, calibration)
    scores = matrices.layers["0"].scores
    assert scores.isfinite().all()
    assert scores.argmin() == 0


def test_selection_is_that_of_the_method_beneath() -> None:
    spec = networks.spec_of("smp-g", prior="wanda", prior_strength=0.5)
    matrices, calibration, _, _ = network_and_batches()
    method = create_method(spec)
    method.begin(matrices, calibration)
    assert sum(method.select(matrices, 0.4)) == int(0.4 * 35)  # one budget for all, as SMP-G has it
    assert method.penalty_shift == 0


def test_a_prior_changes_the_mask_and_nothing_else(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    masks = []
    for name, fields in (("with", {"prior": "wanda", "prior_strength": 1.0}), ("without", {})):
        given: dict[str, Any] = fields
        run_toy(sources, tmp_path / name, max_steps=6, **given)
        assert not (tmp_path / name / "artifacts" / "weights.safetensors").exists()
        masks.append(mask_file.read(tmp_path / name / "artifacts" / "mask.safetensors")[0])
    assert not any(np.array_equal(masks[0][path], masks[1][path]) for path in masks[0])


def test_pattern_and_prior_go_together(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "toys")
    run = set_up(spec_of(prior="wanda", pattern="2:4"), sources, lambda event: None)
    assert all(float(layer.scores.std()) == pytest.approx(0.1, rel=1e-3) for layer in run.matrices.layers.values())
    run.pruner.select(0.5, final=True)
    for layer in run.matrices.layers.values():
        fours = layer.scores.view(-1, 4)
        assert torch.equal(layer.mask.view(-1, 4).sum(1), torch.full((len(fours),), 2))
