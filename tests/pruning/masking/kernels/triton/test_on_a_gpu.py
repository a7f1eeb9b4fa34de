"""On a GPU, where there is one: the programs pass their check, and no step waits for the device."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pruning.masking.kernels.triton import availability
from pruning.masking.methods.registry import create_method
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import wrap_linears
from pruning.models.autocast import for_precision
from pruning.training import backends
from pruning.training.cuda_graphs import Batch
from pruning.training.pruner import Pruner
from pruning.training.step import Backend
from tests.pruning.runs import spec_of

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")]


@pytest.mark.parametrize("whole", [False, True])
def test_the_programs_compute_what_their_twins_compute(whole: bool) -> None:
    assert availability.unavailable_reason(torch.device("cuda"), whole=whole) == ""


@pytest.mark.parametrize("extras", [False, True], ids=["scores", "extras"])
@pytest.mark.parametrize(("method", "precision"), [("smp-s", "fp32"), ("smp-l", "fp32"), ("smp-g", "fp32"), ("smp-s", "bf16")])
def test_no_step_waits(method: str, precision: str, extras: bool) -> None:
    pruner = pruner_of(method, precision, extras=extras)
    assert pruner.kernels == "triton"
    rows = {"x": torch.randn(8, 128, device="cuda")}
    losses = [pruner.step(t, [rows]).loss for t in range(3)]  # libraries are warm by then, and the pass is recorded
    torch.cuda.set_sync_debug_mode("error")
    try:
        launched = [pruner.launch(t, [rows]) for t in range(3, 12)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    results = [result() for result in launched]
    losses += [result.loss for result in results]
    assert losses[-1] < losses[0]
    assert sum(results[-1].kept) <= 0.5 * pruner.matrices.total
    assert [layer.kept for layer in pruner.matrices.layers.values()] == results[-1].kept
    assert pruner.take_warnings() == []


def test_steps_repeated_from_recordings_are_those_launched_piece_by_piece() -> None:
    from pruning.training.gpu_pruner import GpuPruner  # imports Triton

    def refuse(work: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("not now")

    recorded, launched = pruner_of("smp-s"), GpuPruner.from_pruner(plain_of("smp-s"), capture=refuse)
    for t in range(12):
        torch.manual_seed(t)
        rows = {"x": torch.randn(8 - t % 2, 128, device="cuda")}
        found = []
        for pruner in (recorded, launched):
            torch.manual_seed(t)  # dropout
            found.append(pruner.step(t, [rows]))
        assert found[0].kept == found[1].kept
        assert found[0].loss == pytest.approx(found[1].loss, rel=1e-6)
        assert found[0].update.grad_norms == pytest.approx(found[1].update.grad_norms, rel=1e-5)
    assert (recorded.take_warnings(), len(launched.take_warnings())) == ([], 1)


def pruner_of(method: str, precision: str = "fp32", *, extras: bool = False) -> Backend[Batch]:
    return backends.select_backend(plain_of(method, precision, extras=extras), precision)


def plain_of(method: str, precision: str = "fp32", *, extras: bool = False) -> Pruner[Batch]:
    """``extras``: biases are trained, too."""
    torch.manual_seed(0)
    model = nn.ModuleList([nn.Linear(128, 256), nn.Linear(256, 128)])
    matrices = wrap_linears(model)
    model.cuda()
    spec = spec_of(method=method)

    def loss_of(batch: Batch) -> torch.Tensor:
        with for_precision(precision, torch.device("cuda")):
            hidden = nn.functional.dropout(torch.tanh(model[0](batch["x"])), 0.1)
            return torch.tanh(model[1](hidden)).float().square().mean()

    layers = list(matrices.layers.values())
    biases = [layer.bias.requires_grad_() for layer in layers if extras and layer.bias is not None]
    return Pruner(
        matrices,
        create_method(spec),
        ScoreAdam(layers),
        Schedule.from_spec(spec, 12),
        loss_of,
        WeightAdam([], biases, 1e-3) if extras else None,
    )
