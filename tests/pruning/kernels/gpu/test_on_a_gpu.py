"""On a GPU, where there is one: the programs pass their check, and no step waits for the device."""

import pytest
import torch
from torch import nn

from pruning import fused
from pruning.attach import attach
from pruning.kernels import gpu
from pruning.methods import method_of
from pruning.optimizer import ScoreAdam
from pruning.schedule import Schedule
from pruning.step import Pruner
from tests.pruning.running import spec_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")


@pytest.mark.parametrize("whole", [False, True])
def test_the_programs_compute_what_their_twins_compute(whole: bool) -> None:
    assert gpu.reason(torch.device("cuda"), whole=whole) == ""


@pytest.mark.parametrize("method", ["smp-s", "smp-l", "smp-g"])
def test_no_step_waits(method: str) -> None:
    torch.manual_seed(0)
    model = nn.ModuleList([nn.Linear(128, 256), nn.Linear(256, 128)])
    matrices = attach(model)
    model.cuda()
    spec = spec_of(method=method)
    plain = Pruner(
        matrices, method_of(spec), ScoreAdam(list(matrices.layers.values())), Schedule.of(spec, 12),
        lambda rows: torch.tanh(model[1](torch.tanh(model[0](rows)))).square().mean(),
    )  # fmt: skip
    pruner = fused.fastest(plain)
    assert pruner.kernels == "triton"
    rows = torch.randn(8, 128, device="cuda")
    losses = [pruner.step(0, [rows]).loss]
    torch.cuda.set_sync_debug_mode("error")
    try:
        launched = [pruner.launch(t, [rows]) for t in range(1, 12)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    results = [result() for result in launched]
    losses += [result.loss for result in results]
    assert losses[-1] < losses[0]
    assert sum(results[-1].kept) <= 0.5 * matrices.total
    assert [layer.kept for layer in matrices.layers.values()] == results[-1].kept
