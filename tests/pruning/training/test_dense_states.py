"""Distillation from the dense model's states: the distance as transformers' own models give it, its weight in the loss, runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModel, PreTrainedModel

from pruning.data.tagged_words import IGNORED
from pruning.formats import mask_file
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.training import build
from pruning.training.dense_states import DenseStates, logits_and_states
from pruning.training.pruner import Pruner
from pruning.training.run import Batch, Run
from pruning.training.setup import set_up
from tests import toy_architectures
from tests.pruning.runs import make_sources, run_toy, spec_of


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def begin(sources: Sources, **fields: Any) -> Run:
    """A run without dropout, half of whose weights are removed at random."""
    run = set_up(spec_of(**{"dropout": 0.0, **fields}), sources, lambda event: None)
    torch.manual_seed(1)
    for layer in run.matrices.layers.values():
        layer.keep_top_k(layer.base.numel() // 2, torch.rand_like(layer.base))
    return run


def loss(run: Run, batch: Batch) -> float:
    assert isinstance(run.pruner, Pruner)
    return float(run.pruner.loss_of(batch).detach())


def states_of(model: PreTrainedModel, batch: Batch) -> list[list[torch.Tensor]]:
    """By layer, by row: the states [tokens, H]."""
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in batch}
    with torch.no_grad():
        layers = model(**inputs, output_hidden_states=True).hidden_states[1:]
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    return [[states[:length] for states, length in zip(layer, lengths, strict=True)] for layer in layers]


def test_the_distance_is_that_of_the_states_of_stock_models(sources: Sources) -> None:
    run = begin(sources, head="classifier", distill_states=0.5, train_rows=100)
    batch = run.batch(0, 0)
    dense, pruned = (AutoModel.from_pretrained(run.model_folder.path).eval() for _ in range(2))
    for path, layer in run.matrices.layers.items():
        pruned.get_submodule(path.removeprefix("bert.")).weight.data = layer.masked_weight
    expected = []
    everything = states_of(dense, run.train.batch(range(len(run.train)), run.device))
    for d, m, every in zip(states_of(dense, batch), states_of(pruned, batch), everything, strict=True):
        variance = torch.cat(every).var(dim=0, correction=0).sum()
        rows = [(ours - theirs).square().sum(dim=-1).mean() for ours, theirs in zip(m, d, strict=True)]
        expected.append(torch.stack(rows).mean() / variance)
    assert len(run.train) <= run.spec.calibration_rows  # all rows make the variance
    without = begin(sources, head="classifier", distill_states=0, train_rows=100)
    assert loss(run, batch) - loss(without, batch) == pytest.approx(0.5 * float(torch.stack(expected).mean()), rel=1e-4)


@pytest.mark.parametrize("shape", toy_architectures.ALL)
def test_every_architecture_has_states_and_without_masks_no_distance(tmp_path: Path, sources: Sources, shape: str) -> None:
    toy_architectures.make_model(tmp_path / "models" / shape, shape)
    headless = {"head": "classifier"} if shape == toy_architectures.HEADLESS else {}
    here = replace(sources, models_dir=tmp_path / "models")
    run = begin(here, model=shape, distill_states=2.0, **headless)
    without = begin(here, model=shape, distill_states=0, **headless)
    batch = run.batch(0, 0)
    assert loss(run, batch) > loss(without, batch) + 1e-4
    for layer in (*run.matrices.layers.values(), *without.matrices.layers.values()):
        layer.remove_mask()
    run.head.eval()
    without.head.eval()
    assert loss(run, batch) == pytest.approx(loss(without, batch), rel=1e-5)


def test_where_one_position_is_read_the_last_layer_counts_there_alone(sources: Sources) -> None:
    run = begin(sources)
    inputs = {name: tensor for name, tensor in run.batch(0, 0).items() if name != "labels"}
    states = logits_and_states(run.head, inputs)[1]
    assert [layer.shape[1] for layer in states] == [inputs["input_ids"].shape[1], 1]


def test_tagged_words_count_alike_and_no_other_token_counts(sources: Sources) -> None:
    states = DenseStates(torch.nn.Identity(), 1.0, torch.ones(2), by_word=True)  # type: ignore[arg-type]
    labels = torch.tensor([[IGNORED, 3, IGNORED, 0], [2, IGNORED, IGNORED, IGNORED]])
    expected = torch.tensor([[0, 1, 0, 1], [1, 0, 0, 0]]) / 3
    torch.testing.assert_close(states._token_shares(torch.ones(2, 4), labels), expected.double())


@pytest.mark.parametrize(
    "fields",
    [{}, {"train_biases": True}, {"method": "magnitude", "weight_learning_rate": 0.01}],
    ids=["scores", "biases", "weights"],
)
def test_the_dense_model_stays_as_it_was(
    sources: Sources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fields: dict[str, Any]
) -> None:
    made: list[DenseStates] = []

    def keep(*given: Any) -> DenseStates:
        made.append(DenseStates(*given))
        return made[-1]

    monkeypatch.setattr(build, "DenseStates", keep)
    before = AutoModel.from_pretrained(Path(str(sources.models_dir)) / "bert", add_pooling_layer=False).state_dict()
    run_toy(sources, tmp_path, distill_states=1.0, **fields)
    dense = made[0].dense.get_submodule("model.bert").state_dict()
    assert before.keys() == dense.keys()
    assert all(torch.equal(dense[name], weight) for name, weight in before.items())
    run = begin(sources, distill_states=1.0, **fields)
    path = "bert.encoder.layer.0.output.dense"
    weight = made[1].dense.get_parameter(f"model.{path}.weight")
    shared = weight.data_ptr() == run.matrices.layers[path].base.data_ptr()
    assert shared is not run.spec.method_info.trains_weights


def test_masks_hold_the_field_and_those_without_it_had_no_such_loss(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "with", max_steps=3)
    run_toy(sources, tmp_path / "without", max_steps=3, distill_states=0)
    infos = [mask_file.read_info(tmp_path / name / "artifacts" / "mask.safetensors") for name in ("with", "without")]
    assert [info.spec.distill_states for info in infos] == [1.0, 0.0]
    stored = spec_of().model_dump(mode="json")
    del stored["distill_states"]
    assert PruningSpec.from_record(stored).distill_states == 0
    assert PruningSpec.model_validate(stored).distill_states == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 1),
        ({"sparsity": 0.97}, 0),
        ({"preset": "paper"}, 0),
        ({"method": "movement"}, 0),
        ({"method": "wanda", "max_steps": None}, 0),
    ],
)
def test_the_default_follows_preset_and_method(fields: dict[str, Any], expected: float) -> None:
    assert spec_of(**fields).distill_states == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0),
        ({"dropout": None}, None),
        ({"max_steps": None, "epochs": 4}, 0),
        ({"max_steps": None, "epochs": 5}, None),
        ({"max_steps": None}, None),  # the task's number of epochs
        ({"sparsity": 0.97}, None),
        ({"distill_states": 0}, None),
        ({"preset": "paper"}, None),
        ({"preset": "paper", "distill_states": 1}, None),
    ],
)
def test_runs_with_states_and_few_epochs_have_no_dropout_by_default(fields: dict[str, Any], expected: float | None) -> None:
    assert PruningSpec.model_validate({"model": "m", "task": "sst2", "max_steps": 10, **fields}).dropout == expected


def test_methods_that_do_not_train_refuse_it() -> None:
    with pytest.raises(ValidationError) as caught:
        spec_of(method="wanda", max_steps=None, distill_states=1)
    assert caught.value.errors()[0]["ctx"]["param"] == "distill_states"
