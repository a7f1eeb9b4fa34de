"""Several processes train one mask: shares, sums, agreement, stopping and going on, with real processes over gloo."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pruning.errors import PermanentError
from pruning.events import ExitCode
from pruning.models import loading
from pruning.models.loading import LoadedModel
from pruning.sources import Sources
from pruning.training import inputs
from pruning.training.distributed import SINGLE_PROCESS, DistributedGroup, join_process_group
from pruning.training.run import Batch, Run
from pruning.training.setup import set_up
from tests import toy_architectures
from tests.pruning.runs import Forked, arguments_of, fork, make_sources, of_kind, run_toy, same_masks, spec_of
from tests.services import free_port
from tests.toy_datasets import make_span_dataset

DOUBLE = """
import os
from pruning.training import inputs
from tests.pruning.training.test_distributed import in_double
inputs.load_model = in_double(inputs.load_model)
os.environ.update({environment})
"""
FALSE_SCORES = """
from pruning.training.pruner import Pruner
real = Pruner.update
def shaken(pruner, t, losses):
    if t == 3:
        next(iter(pruner.matrices.layers.values())).scores[0, 0] += 1e-12
    return real(pruner, t, losses)
Pruner.update = shaken
"""


def in_double(load: Any) -> Any:
    """Models in float64, in which the order of sums decides no bit of a mask."""

    def loaded(*given: Any, **options: Any) -> LoadedModel:
        found: LoadedModel = load(*given, **options)
        return replace(found, model=found.model.double())

    return loaded


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    make_span_dataset(root / "datasets" / "squad")
    toy_architectures.make_classifier(root / "models" / "teacher", ("negative", "positive"))
    toy_architectures.make_span_model(root / "models" / "span-teacher")
    return sources


class FakeGroup(DistributedGroup):
    """A rank that never meets the others."""

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size, self._device = rank, world_size, torch.device("cpu")


def pair(sources: Sources, folder: Path, name: str, spec: dict[str, Any], second: str = "") -> list[Forked]:
    """The two processes that torchrun would start; ``second`` is Python code for the second one."""
    arguments = arguments_of(folder / "two", {**spec, "devices": 2}, sources)
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "TORCHELASTIC_RUN_ID": "test"}
    started = []
    for rank in ("0", "1"):
        before = DOUBLE.format(environment={**common, "RANK": rank, "LOCAL_RANK": rank})
        started.append(fork(arguments, folder / f"{name}-{rank}", before=before + (second if rank == "1" else "")))
    return started


@pytest.mark.parametrize("batch_size", [8, 7], ids=["even, sparsity of single matrices", "uneven, stopped on the way"])
def test_two_processes_find_the_mask_of_one(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    spec: dict[str, Any] = {
        "dropout": 0.0,
        "gradient_accumulation": 2,
        "batch_size": batch_size,
        "train_rows": 29,
        "max_steps": 24,
        "checkpoint_every": 4,
        "eval_every": 7,
    }
    if batch_size == 8:
        spec |= {"sparsity": 0.6, "sparsity_by": {"layer.0.attention.*": 0.0, "intermediate.dense": 0.9}}
    if batch_size == 7:  # the last of five batches is a single row, of which the second process has no share
        leader, other = pair(sources, tmp_path, "stopped", spec)
        leader.next_event("checkpoint")
        other.signal(signal.SIGTERM)  # whichever gets the signal, all stop behind the same step
        ends = [leader.finish(), other.finish()]
        assert [end.code for end in ends] == [ExitCode.STOPPED] * 2, [end.stderr for end in ends]
        assert ends[1].events == []
    ends = [rank.finish() for rank in pair(sources, tmp_path, "whole", spec)]
    assert [end.code for end in ends] == [0, 0], [end.stderr for end in ends]
    assert (of_kind(ends[0].events, "started")[0].resumed_from > 0) is (batch_size == 7)
    assert ends[1].events == []
    monkeypatch.setattr(inputs, "load_model", in_double(loading.load_model))
    alone = run_toy(sources, tmp_path / "one", **spec)
    assert same_masks(tmp_path / "one", tmp_path / "two")
    last, theirs = of_kind(alone, "step")[-1], of_kind(ends[0].events, "step")[-1]
    assert theirs.loss == pytest.approx(last.loss, rel=1e-9)


def test_ranks_that_differ_end_the_run_with_one_error(sources: Sources, tmp_path: Path) -> None:
    ends = [rank.finish() for rank in pair(sources, tmp_path, "run", {"checkpoint_every": 5}, FALSE_SCORES)]
    assert [end.code for end in ends] == [ExitCode.PERMANENT] * 2, [end.stderr for end in ends]
    (error,) = [event for end in ends for event in of_kind(end.events, "error")]
    assert (error.code, error.param) == ("ranks_differ", "devices")


def test_a_rank_that_is_killed_is_missed_by_the_other(sources: Sources, tmp_path: Path) -> None:
    leader, other = pair(sources, tmp_path, "run", {"max_steps": 100_000, "checkpoint_every": 5})
    leader.next_event("checkpoint")
    other.signal(signal.SIGKILL)
    end = leader.finish()
    assert end.code == ExitCode.PEER_LOST, end.stderr
    assert of_kind(end.events, "error") == []
    other.finish()


SPAN = {"task": "squad", "max_length": 40, "stride": 8}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"task": "stsb"},
        {"teacher": "teacher", "train_biases": True},
        {"teacher": "teacher", "class_weights": [1, 5]},
        SPAN,
        {**SPAN, "teacher": "span-teacher"},
    ],
    ids=["labels", "numbers", "teacher", "class weights", "spans", "span teacher"],
)
@pytest.mark.parametrize(("count", "batch_size"), [(2, 5), (3, 8), (4, 5)])
def test_losses_and_gradients_of_all_shares_add_up_to_those_of_the_batch(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], count: int, batch_size: int
) -> None:
    monkeypatch.setattr(inputs, "load_model", in_double(loading.load_model))
    run = set_up(spec_of(batch_size=batch_size, dropout=0.0, **fields), sources, lambda event: None)
    whole, expected = _gradients(run, run.batch(0, 0))
    losses, sums = [], [torch.zeros_like(gradient) for gradient in expected]
    for rank in range(count):
        part = replace(run, process_group=FakeGroup(rank, count)).batch(0, 0)
        loss, gradients = _gradients(run, part)
        losses.append(loss)
        for total, gradient in zip(sums, gradients, strict=True):
            total += gradient
    assert sum(losses) == pytest.approx(whole, rel=1e-9)
    for total, gradient in zip(sums, expected, strict=True):
        torch.testing.assert_close(total, gradient, rtol=1e-6, atol=1e-9)


def _gradients(run: Run, batch: Batch) -> tuple[float, list[torch.Tensor]]:
    run.head.eval()
    others = run.pruner.weight_adam.parameters if run.pruner.weight_adam else []
    parameters = [*(layer.weight for layer in run.matrices.layers.values()), *others]
    loss = run.pruner.loss_of(batch)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return float(loss.detach()), [
        torch.zeros_like(parameter) if gradient is None else gradient for parameter, gradient in zip(parameters, found, strict=True)
    ]


def test_shares_are_all_rows_once_and_an_empty_one_weighs_nothing() -> None:
    rows = list(range(10, 17))
    shares = [FakeGroup(rank, 3).shard(rows) for rank in range(3)]
    assert sorted(row for share in shares for row in share) == rows
    terms = [1] * len(rows)
    assert [float(FakeGroup(rank, 3).scale_loss({}, terms)["weight"]) for rank in range(3)] == [3 / 7, 2 / 7, 2 / 7]
    assert FakeGroup(2, 3).shard([4, 5]) == [4]
    assert float(FakeGroup(2, 3).scale_loss({}, [1, 1])["weight"]) == 0
    assert SINGLE_PROCESS.shard(rows) is rows
    assert SINGLE_PROCESS.scale_loss({}, terms) == {}


def test_dropout_depends_on_seed_rank_and_step_alone() -> None:
    def drawn(rank: int, seed: int, step: int) -> float:
        FakeGroup(rank, 2).begin_step(seed, step)
        return float(torch.rand(()))

    with torch.random.fork_rng():
        assert drawn(0, 42, 3) == drawn(0, 42, 3)
        assert len({drawn(0, 42, 3), drawn(1, 42, 3), drawn(0, 42, 4), drawn(0, 43, 3)}) == 4


def test_as_many_processes_as_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert join_process_group(1) is SINGLE_PROCESS
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(PermanentError, match=r"\b2\b.*\b3\b") as refused:
        join_process_group(2)
    assert refused.value.param == "devices"
