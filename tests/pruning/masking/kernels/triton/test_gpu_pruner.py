"""Steps that a GPU takes by itself, run by the interpreter: those of the plain pruner, with results one step later."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertForMaskedLM

from pruning.errors import PermanentError, StoppedError
from pruning.masking.kernels import dispatch
from pruning.masking.kernels.triton import availability
from pruning.masking.layer_sparsity import layer_sparsity
from pruning.masking.methods.base import Method
from pruning.masking.methods.smp import SmpG, SmpL, SmpS
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.wrap import wrap_linears
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.training.checkpoint import capture, restore
from pruning.training.gpu_pruner import GpuPruner
from pruning.training.pruner import Pruner
from pruning.training.step import Backend
from tests import toy_datasets
from tests.graph_recorder import GraphRecorder
from tests.pruning.runs import finished, make_sources, of_kind, run_toy, same_masks, stop_after

STEPS = 3
"""Of a schedule; by the third the selection knows how its thresholds move. Tests for which that is nothing take two."""
METHODS: dict[str, Callable[[], Method]] = {"smp-s": lambda: SmpS(temperature=0.5), "smp-l": SmpL, "smp-g": SmpG}
X = torch.randn(8, 7, generator=torch.Generator().manual_seed(1))


def plain_of(method: Method) -> Pruner[torch.Tensor]:
    """Two groups of two matrices, one of them out of reach of the loss; a row that is all NaN makes a loss that is."""
    torch.manual_seed(0)
    model = nn.ModuleList(nn.ModuleDict({"in": nn.Linear(7, 19), "out": nn.Linear(19, 7)}) for _ in range(2))
    matrices = wrap_linears(model)
    for layer in matrices.layers.values():
        layer.scores.normal_(0, 0.1)
    blocks: Any = model

    def loss_of(rows: torch.Tensor) -> torch.Tensor:
        for block in blocks[:1]:
            rows = rows + block["out"](torch.tanh(block["in"](rows)))
        return torch.tanh(blocks[1]["in"](rows)).square().mean()

    spec = PruningSpec(model="m", task="sst2", max_steps=STEPS, sparsity=0.7, regularization=40)
    adam = ScoreAdam(list(matrices.layers.values()))
    return Pruner(matrices, method, adam, Schedule.from_spec(spec, STEPS), loss_of)


def on_device(pruner: Pruner[Any]) -> GpuPruner[Any]:
    return GpuPruner.from_pruner(pruner, chunk=128, tile=64)


def state(pruner: Backend[Any]) -> list[torch.Tensor]:
    adam = pruner.optimizer
    return [tensor.clone() for tensor in (*(layer.scores for layer in adam.layers), *adam.first, *adam.second)]


@pytest.mark.parametrize(("name", "steps"), [("smp-s", STEPS), ("smp-l", 2), ("smp-g", 2)])
def test_the_steps_are_those_of_the_plain_pruner(name: str, steps: int) -> None:
    plain, ours = plain_of(METHODS[name]()), on_device(plain_of(METHODS[name]()))
    for t in range(steps):
        with dispatch.plain_only():
            expected = plain.step(t, [X[:4], X[4:]])
        found = ours.step(t, [X[:4], X[4:]])
        assert found.kept == expected.kept
        assert (found.step, found.remaining, found.learning_rate) == (t, expected.remaining, expected.learning_rate)
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
        assert found.update.regularizer == pytest.approx(expected.update.regularizer, rel=1e-5)
        assert found.update.grad_norms == pytest.approx(expected.update.grad_norms, rel=1e-4)
        assert found.update.grad_norm == pytest.approx(expected.update.grad_norm, rel=1e-4)
        for one, other in zip(state(ours), state(plain), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
        for layer, same in zip(ours.matrices.layers.values(), plain.matrices.layers.values(), strict=True):
            assert torch.equal(layer.mask, same.mask)
            assert torch.equal(layer.masked_weight, same.masked_weight)
    assert ours.select(0.3, final=True) == plain.select(0.3, final=True)
    assert [layer.kept for layer in ours.matrices.layers.values()] == ours.select(0.3)
    assert all(map(torch.equal, ours.matrices.masks.values(), plain.matrices.masks.values()))


@pytest.mark.parametrize("name", ["smp-s", "smp-l"])
def test_matrices_with_a_sparsity_of_their_own_keep_what_they_keep_in_plain_steps(name: str) -> None:
    spec = PruningSpec(model="m", task="sst2", max_steps=STEPS, method=name, sparsity=0.7, sparsity_by={"0.in": 0.0, "1.out": 0.9})
    plain, other = plain_of(METHODS[name]()), plain_of(METHODS[name]())
    for pruner in (plain, other):
        pruner.matrices = replace(pruner.matrices, own=layer_sparsity(spec, pruner.matrices.shapes))
    ours = on_device(other)
    for t in range(2):
        with dispatch.plain_only():
            expected = plain.step(t, [X])
        assert ours.step(t, [X]).kept == expected.kept
    assert ours.select(0.3, final=True) == plain.select(0.3, final=True)
    assert all(map(torch.equal, ours.matrices.masks.values(), plain.matrices.masks.values()))
    assert [layer.kept for layer in ours.matrices.layers.values()][::3] == [7 * 19, 13]


@pytest.mark.parametrize(("parts", "recorded"), [(1, False), (2, True)])
def test_under_bf16_the_steps_are_those_of_the_plain_pruner(parts: int, recorded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """W ⊙ M rounded once a step, by the selection, is what autocast makes of it in every forward pass."""
    plain, pruner = (in_bf16(plain_of(SmpS(temperature=0.5))) for _ in range(2))
    layers = list(pruner.matrices.layers.values())
    record = GraphRecorder(lambda: [layer.weight.grad for layer in layers], monkeypatch)  # type: ignore[misc]
    ours = GpuPruner.from_pruner(pruner, chunk=128, tile=64, bf16=True, capture=record if recorded else None)
    for t in range(2):
        batches = [{"x": X[i::parts] + t} for i in range(parts)]
        with dispatch.plain_only():
            expected = plain.step(t, batches)
        found = ours.step(t, batches)
        assert found.kept == expected.kept
        assert found.loss == expected.loss
        assert found.update.grad_norms == pytest.approx(expected.update.grad_norms, rel=1e-5)
        for one, other in zip(state(ours), state(plain), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    assert record.recordings == recorded
    assert layers[0].weight.dtype == torch.bfloat16
    for layer, same in zip(layers, plain.matrices.layers.values(), strict=True):
        assert torch.equal(layer.masked_weight, same.masked_weight)
        rows = torch.randn(3, layer.in_features)
        assert torch.equal(layer(rows), same(rows))  # an evaluation, in float32


def in_bf16(pruner: Pruner[torch.Tensor]) -> Pruner[dict[str, torch.Tensor]]:
    whole: Any = pruner.loss_of

    def loss_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            loss: torch.Tensor = whole(batch["x"])
        return loss.float()

    return Pruner(pruner.matrices, pruner.method, pruner.optimizer, pruner.schedule, loss_of)


def test_steps_repeated_from_recordings_are_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    launched, recorded = (on_device(with_dicts(plain_of(SmpS(temperature=0.5)))), with_dicts(plain_of(SmpS(temperature=0.5))))
    record = GraphRecorder(lambda: [layer.weight.grad for layer in recorded.matrices.layers.values()], monkeypatch)  # type: ignore[misc]
    ours = GpuPruner.from_pruner(recorded, chunk=128, tile=64, capture=record)
    for t in range(2):
        halves = [{"x": X[:4] + t}, {"x": X[4:] - t}]
        one, other = launched.step(t, halves), ours.step(t, halves)
        assert (one.kept, one.loss, one.update) == (other.kept, other.loss, other.update)
        assert all(map(torch.equal, state(launched), state(ours)))
    assert (record.recordings, ours.take_warnings()) == (1, [])


def test_a_pass_that_cannot_be_recorded_is_remarked_on_once() -> None:
    def refuse(work: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    ours = GpuPruner.from_pruner(with_dicts(plain_of(SmpL())), chunk=128, tile=64, capture=refuse)
    for t in range(STEPS):
        ours.step(t, [{"x": X}])
    (remark,) = ours.take_warnings()
    assert "stream is capturing" in remark
    assert ours.take_warnings() == []


def with_dicts(pruner: Pruner[torch.Tensor]) -> Pruner[dict[str, torch.Tensor]]:
    """The same for batches as runs have them."""
    whole: Any = pruner.loss_of
    return Pruner(
        pruner.matrices, pruner.method, pruner.optimizer, pruner.schedule, lambda batch: whole(batch["x"]), pruner.weight_adam
    )


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_value_that_is_not_finite_is_reported_later_and_changes_nothing(where: str) -> None:
    ours = on_device(plain_of(SmpS()))
    ours.step(0, [X])
    before = state(ours)
    whole = ours.loss_of
    if where == "loss":
        ours.loss_of = lambda rows: whole(rows) + math.inf  # its gradients are finite
    else:
        ours.loss_of = lambda rows: torch.sqrt(whole(rows) - whole(rows))  # it is zero, its slope endless
    bad = ours.launch(1, [X])
    ours.loss_of = whole
    later = ours.launch(2, [X])
    with pytest.raises(FloatingPointError, match=where):
        bad()
    with pytest.raises(FloatingPointError):
        later()
    assert all(map(torch.equal, state(ours), before))


def test_a_nan_score_is_reported() -> None:
    ours = on_device(plain_of(SmpL()))
    next(iter(ours.matrices.layers.values())).scores[0, 0] = math.nan
    with pytest.raises(ValueError, match="NaN"):
        ours.select(0.5)


def test_a_restored_run_goes_on_to_the_same_bits() -> None:
    whole, cut = (on_device(plain_of(SmpS(temperature=0.5))) for _ in range(2))
    whole.step(0, [X])
    restore(capture(whole), 1, cut)
    one, other = whole.step(1, [X]), cut.step(1, [X])
    assert (one.kept, one.loss, one.update) == (other.kept, other.loss, other.update)
    assert all(map(torch.equal, state(whole), state(cut)))


@pytest.fixture
def as_if_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "unavailable_reason", lambda device, *, whole: "")
    # what is read from a file lies anywhere in the host's memory, and every sixteen bytes once it is on a GPU
    monkeypatch.setattr("pruning.masking.kernels.triton.chunk_table.ALIGNMENT", 4)
    monkeypatch.setattr(GpuPruner, "from_pruner", partial(GpuPruner.from_pruner, chunk=2048, tile=2048))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """With a BERT of one layer, for every matrix takes its time in the interpreter."""
    made = make_sources(tmp_path_factory.mktemp("toys"))
    assert made.models_dir is not None
    BertForMaskedLM.from_pretrained(made.models_dir / "bert", num_hidden_layers=1).save_pretrained(made.models_dir / "bert")
    return made


@pytest.mark.usefixtures("as_if_on_a_gpu")
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="scores", marks=pytest.mark.exhaustive),
        pytest.param({"train_biases": True, "train_readout": True}, id="extras"),
    ],
)
def test_a_run_that_was_stopped_and_resumed_ends_as_if_it_never_was(
    sources: Sources, tmp_path: Path, captured: list[Any], fields: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {"max_steps": 3, "eval_every": 2, "checkpoint_every": 2, "dropout": 0.2, **fields}
    whole = run_toy(sources, tmp_path / "whole", **settings)
    assert isinstance(captured[0].pruner, GpuPruner)
    assert of_kind(whole, "started")[0].versions["kernels"] == "triton"
    assert [(e.stage, e.step) for e in of_kind(whole, "evaluation")] == [("before", 0), ("during", 2), ("final", 3)]
    assert [e.step for e in of_kind(whole, "checkpoint")] == [2]
    assert finished(whole)["remaining"] == 0.5
    with pytest.raises(StoppedError) as stopped:
        run_toy(sources, tmp_path / "cut", should_stop=stop_after(1), **settings)
    assert stopped.value.step == 1
    resumed = run_toy(sources, tmp_path / "cut", **settings)
    assert of_kind(resumed, "started")[0].resumed_from == 1
    assert same_masks(tmp_path / "whole", tmp_path / "cut")
    weights = [tmp_path / name / "artifacts/weights.safetensors" for name in ("whole", "cut")]
    assert [file.exists() for file in weights] == [bool(fields)] * 2
    assert not fields or weights[0].read_bytes() == weights[1].read_bytes()
    reports = [json.loads((tmp_path / name / "artifacts/report.json").read_text()) for name in ("whole", "cut")]
    assert len(reports[0]["curves"]["loss"]) == 3
    assert reports[0]["curves"]["loss"] == reports[1]["curves"]["loss"]


@pytest.mark.usefixtures("as_if_on_a_gpu")
def test_a_run_that_diverges_names_the_step_and_leaves_no_checkpoint_of_it(sources: Sources, tmp_path: Path) -> None:
    toy_datasets.write_splits(
        tmp_path / "data" / "stsb",
        {"train": [{**row, "label": 1e30} for row in toy_datasets.ratings(32, 1)], "validation": toy_datasets.ratings(8, 1)},
    )
    huge, work = Sources(sources.models_dir, tmp_path / "data", hub=False), tmp_path / "work"
    with pytest.raises(PermanentError, match="step 0") as caught:
        run_toy(huge, work, task="stsb", max_steps=3, checkpoint_every=1, calibrate_logits=False)
    assert caught.value.code == "diverged"
    assert not list((work / "checkpoints").iterdir())
