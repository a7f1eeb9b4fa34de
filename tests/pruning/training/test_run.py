"""Rows of a step weigh alike, however micro-batches cut them; the presets of the paper and its code keep the mean of means."""

from typing import Any

import pytest
import torch

from pruning.sources import Sources
from pruning.training.setup import set_up
from pruning.training.step import StepResult
from tests.pruning.runs import make_sources, spec_of


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("inputs"))


def first_step(sources: Sources, **fields: Any) -> tuple[StepResult, list[torch.Tensor]]:
    """The result of step 0, and the gradients that it made."""
    run = set_up(spec_of(dropout=0.0, **fields), sources, lambda event: None)
    run.head.train()
    batches = run.micro_batches(0)
    run.pruner.select_masks(run.pruner.schedule.remaining(0))
    losses = [run.pruner.forward_backward(batch, len(batches)) for batch in batches]
    gradients = [layer.weight.grad.clone() for layer in run.matrices.layers.values() if layer.weight.grad is not None]
    assert len(gradients) == len(run.matrices.layers)
    return run.pruner.update(0, losses)(), gradients


@pytest.mark.parametrize(("rows", "batch"), [(9, 4), (7, 3), (10, 9), (5, 4)])
@pytest.mark.parametrize("more", [{}, {"task": "stsb"}, {"class_weights": [1, 5]}], ids=["classes", "numbers", "weights"])
def test_a_short_micro_batch_weighs_as_its_rows(sources: Sources, rows: int, batch: int, more: dict[str, Any]) -> None:
    parts = -(-rows // batch)
    whole, expected = first_step(sources, train_rows=rows, batch_size=rows, gradient_accumulation=1, **more)
    cut, gradients = first_step(sources, train_rows=rows, batch_size=batch, gradient_accumulation=parts, **more)
    assert cut.loss == pytest.approx(whole.loss, rel=1e-5)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.parametrize("preset", ["paper", "upstream"])
def test_the_presets_of_the_reference_take_the_mean_of_the_micro_batches(sources: Sources, preset: str) -> None:
    fields = {"preset": preset, "train_rows": 9, "batch_size": 4, "gradient_accumulation": 3, "dropout": 0.0}
    run = set_up(spec_of(**fields), sources, lambda event: None)
    batches = run.micro_batches(0)
    assert sorted(len(batch["labels"]) for batch in batches) == [1, 4, 4]
    assert not any("weight" in batch for batch in batches)


def test_equal_micro_batches_carry_no_weight(sources: Sources) -> None:
    run = set_up(spec_of(train_rows=12, batch_size=4, gradient_accumulation=3), sources, lambda event: None)
    assert not any("weight" in batch for batch in run.micro_batches(0))
    run = set_up(spec_of(train_rows=9, batch_size=4, gradient_accumulation=1), sources, lambda event: None)
    assert not any("weight" in run.batch(step, 0) for step in range(3))
