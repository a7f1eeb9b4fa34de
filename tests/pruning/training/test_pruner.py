"""One training step: its measurements, and values that are not finite."""

import pytest
import torch
from torch import nn

from pruning.masking.methods.smp import SmpL, SmpS
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.wrap import wrap_linears
from pruning.spec.schema import PruningSpec
from pruning.training.pruner import Pruner

X = torch.randn(8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def pruner_of(*, scale: float = 1.0, shift: float = 0.0) -> Pruner[torch.Tensor]:
    torch.manual_seed(0)
    model = nn.ModuleList([nn.Linear(6, 5, dtype=torch.float64), nn.Linear(5, 3, dtype=torch.float64)])
    matrices = wrap_linears(model)
    spec = PruningSpec(model="m", task="sst2", max_steps=10, sparsity=0.5, regularization=4)

    def loss_of(rows: torch.Tensor) -> torch.Tensor:
        return scale * model[1](torch.tanh(model[0](rows))).square().mean() + shift

    return Pruner(matrices, SmpL(), ScoreAdam(list(matrices.layers.values())), Schedule.from_spec(spec, 10), loss_of)


def scores(pruner: Pruner[torch.Tensor]) -> list[torch.Tensor]:
    return [layer.scores.clone() for layer in pruner.matrices.layers.values()]


def test_micro_batches_of_one_size_equal_one_batch_of_all_their_rows() -> None:
    whole, parts = pruner_of(), pruner_of()
    for t in range(5):
        one, two = whole.step(t, [X]), parts.step(t, [X[:4], X[4:]])
        assert two.loss == pytest.approx(one.loss, rel=1e-12)
        assert two.update.grad_norm == pytest.approx(one.update.grad_norm, rel=1e-9)
        assert two.kept == one.kept
    for mine, theirs in zip(scores(whole), scores(parts), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-12)


def test_a_step_reports_the_schedule_and_the_masks_it_used() -> None:
    pruner = pruner_of()
    first = pruner.step(0, [X])
    assert (first.step, first.remaining, first.regularization, first.learning_rate) == (0, 1, 0, 0.02)
    assert first.kept == [30, 15]
    last = pruner.step(9, [X])
    assert (last.remaining, last.kept) == (0.5, [15, 7])
    assert last.kept == [layer.kept for layer in pruner.matrices.layers.values()]
    assert last.learning_rate == pytest.approx(0.002)


@pytest.mark.parametrize("shift", [float("inf"), float("nan")])
def test_a_loss_that_is_not_finite_ends_the_run_even_where_its_gradients_are(shift: float) -> None:
    pruner = pruner_of(shift=shift)
    before = scores(pruner)
    with pytest.raises(FloatingPointError, match="loss"):
        pruner.step(0, [X])
    assert all(torch.equal(a, b) for a, b in zip(before, scores(pruner), strict=True))


def test_gradients_that_are_not_finite_end_the_run() -> None:
    with pytest.raises(FloatingPointError):
        pruner_of(scale=float("nan")).step(0, [X])


@pytest.mark.parametrize("method", [SmpS(), SmpL()])
def test_selecting_twice_gives_the_same_masks(method: SmpS | SmpL) -> None:
    pruner = pruner_of()
    pruner.method = method
    for t in range(4):
        pruner.step(t, [X])
    counts = pruner.select(0.3)
    masks = {path: mask.clone() for path, mask in pruner.matrices.masks.items()}
    assert pruner.select(0.3) == counts
    assert all(torch.equal(masks[path], mask) for path, mask in pruner.matrices.masks.items())
