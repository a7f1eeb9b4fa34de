"""Whole runs on toys: they learn, keep to the density, leave the weights alone, and resume to the last bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from pruning.errors import PermanentError
from pruning.formats import mask_file
from pruning.models.loading import weights_digest
from pruning.sources import Sources
from tests import toy_datasets, toy_models
from tests.pruning.runs import finished, make_sources, masks_in, of_kind, run_toy, same_masks

LEARNING: dict[str, Any] = {"max_steps": 100, "batch_size": 16, "dropout": 0.0, "validation_rows": None}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@pytest.mark.parametrize(("shape", "method"), [*((shape, "smp-s") for shape in toy_models.SHAPES), ("bert", "smp-l")])
def test_a_toy_of_every_shape_learns_the_task_with_half_its_weights(
    sources: Sources, tmp_path: Path, shape: str, method: str
) -> None:
    events = run_toy(sources, tmp_path, model=shape, method=method, **{**LEARNING, "max_steps": 150})
    result = finished(events)
    assert result["final"]["accuracy"] >= 0.8  # the classes are of one size
    assert result["remaining"] == pytest.approx(0.5, abs=1e-3)


def test_a_regression_is_learnt_too(sources: Sources, tmp_path: Path) -> None:
    result = finished(run_toy(sources, tmp_path, task="stsb", **LEARNING))
    assert set(result["final"]) == {"pearson", "spearman"}
    assert result["final"]["pearson"] > 0.7 > result["before"]["pearson"]


@pytest.mark.parametrize(
    ("method", "sparsity"), [("smp-s", 0.9), ("smp-l", 0.9), ("smp-s", 0.97), ("smp-s", 0.333), ("smp-l", 0.0)]
)
def test_the_density_asked_for_is_the_density_got(sources: Sources, tmp_path: Path, method: str, sparsity: float) -> None:
    events = run_toy(sources, tmp_path, method=method, sparsity=sparsity)
    masks = masks_in(tmp_path)
    kept, total = (sum(f(mask) for mask in masks.values()) for f in (lambda m: int(m.sum()), lambda m: m.size))
    assert 0 <= (1 - sparsity) * total - kept < len(masks)  # at most one weight per matrix is lost to rounding
    finished = of_kind(events, "finished")[0].metrics
    assert (finished["kept_weights"], finished["masked_weights"]) == (kept, total)
    assert finished["remaining"] == kept / total
    assert finished["sparsity"] == pytest.approx(1 - kept / total)


def test_smp_l_prunes_every_matrix_alike_and_smp_s_does_not(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "l", method="smp-l")
    run_toy(sources, tmp_path / "s", method="smp-s", max_steps=40)
    assert all(int(mask.sum()) == mask.size // 2 for mask in masks_in(tmp_path / "l").values())
    by_group: dict[str, list[int]] = {}
    for name, mask in masks_in(tmp_path / "s").items():
        by_group.setdefault(name.replace(".0.", ".*.").replace(".1.", ".*."), []).append(int(mask.sum()))
        assert 0 < mask.sum() < mask.size
    assert any(len(set(counts)) > 1 for counts in by_group.values())


def test_the_weights_of_the_model_are_never_touched(sources: Sources, tmp_path: Path, captured: list[Any]) -> None:
    assert sources.models_dir is not None
    folder = sources.models_dir / "bert"
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    events = run_toy(sources, tmp_path)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    stock = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32)
    assert of_kind(events, "started")[0].base_digest == weights_digest(stock)
    (run,) = captured
    parameters = dict(stock.named_parameters())
    for path, layer in run.matrices.layers.items():
        assert torch.equal(layer.base, parameters[f"{path}.weight"])
        assert torch.equal(layer.masked_weight, parameters[f"{path}.weight"] * layer.mask)
    for name, parameter in run.head.model.named_parameters():
        if name in parameters and parameter.shape == parameters[name].shape and not parameter.requires_grad:
            assert torch.equal(parameter, parameters[name]), name


def test_the_events_tell_the_run_in_order(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path)
    phases = [event.phase for event in of_kind(events, "phase")]
    assert phases == ["validating", "tokenizing", "evaluating", "training", "evaluating", "saving"]
    started = of_kind(events, "started")[0]
    assert (started.total_steps, started.resumed_from, started.matrices) == (12, 0, 12)
    assert (started.train_rows, started.validation_rows, started.model_revision) == (256, 32, None)
    last = of_kind(events, "step")[-1]
    assert (last.step, last.total_steps, last.eta_seconds) == (12, 12, 0)
    assert last.epoch == pytest.approx(12 * 8 / 256)
    assert [artifact.name for artifact in of_kind(events, "artifact")] == [
        "mask.safetensors",
        "mask.espalier",
        "predictions.jsonl",
        "report.json",
        "report.html",
    ]
    assert events[-1].event == "finished"


def test_two_runs_of_one_spec_are_the_same_and_another_seed_is_not(sources: Sources, tmp_path: Path, captured: list[Any]) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_toy(sources, tmp_path / name, seed=seed)
    assert same_masks(tmp_path / "a", tmp_path / "b")
    assert not same_masks(tmp_path / "a", tmp_path / "c")
    first, second, _ = captured
    for path, layer in first.matrices.layers.items():
        assert torch.equal(layer.scores, second.matrices.layers[path].scores)


def test_dropout_is_active_while_training(sources: Sources, tmp_path: Path) -> None:
    for name, dropout in (("a", 0.0), ("b", 0.2)):
        run_toy(sources, tmp_path / name, dropout=dropout)
    assert not same_masks(tmp_path / "a", tmp_path / "b")


def test_evaluations_come_as_often_as_asked_and_at_both_ends(sources: Sources, tmp_path: Path) -> None:
    evaluations = of_kind(run_toy(sources, tmp_path, eval_every=4), "evaluation")
    assert [(e.stage, e.step) for e in evaluations] == [("before", 0), ("during", 4), ("during", 8), ("final", 12)]
    assert evaluations[0].remaining == 1
    assert evaluations[-1].remaining == 0.5
    assert 0.5 < evaluations[1].remaining < 1


def test_evaluating_more_often_changes_nothing(sources: Sources, tmp_path: Path) -> None:
    for name, every in (("seldom", 12), ("often", 1)):
        run_toy(sources, tmp_path / name, eval_every=every, dropout=0.2)
    assert same_masks(tmp_path / "seldom", tmp_path / "often")


def test_a_run_that_diverges_says_where_and_what_to_change(sources: Sources, tmp_path: Path) -> None:
    assert sources.datasets_dir is not None
    rows = [{**row, "label": 1e30} for row in toy_datasets.ratings(32, 1)]
    toy_datasets.write_splits(tmp_path / "data" / "stsb", {"train": rows, "validation": toy_datasets.ratings(8, 1)})
    huge = Sources(sources.models_dir, tmp_path / "data", hub=False)
    with pytest.raises(PermanentError, match="step 0") as caught:
        run_toy(huge, tmp_path / "work", task="stsb", calibrate_logits=False)  # which would put the logits among the labels
    assert (caught.value.code, caught.value.param) == ("diverged", "learning_rate")


def test_inputs_longer_than_the_model_are_cut_with_a_warning(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, max_length=512)
    (warning,) = [log for log in of_kind(events, "log") if log.level == "warning"]
    assert "512" in warning.message
    assert str(toy_models.POSITIONS) in warning.message
    assert mask_file.read_info(tmp_path / "artifacts" / "mask.safetensors").max_length == toy_models.POSITIONS


def test_predictions_are_written_row_by_row(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "artifacts/predictions.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rows] == list(range(32))
    assert [row["label"] for row in rows] == [0, 1] * 16
    assert all(row["prediction"] == int(np.argmax(row["logits"])) for row in rows)


def test_the_mask_says_what_it_is_for(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path)
    info = mask_file.read_info(tmp_path / "artifacts" / "mask.safetensors")
    assert (info.base_model, info.base_revision, info.task, info.head) == ("bert", None, "sst2", "label-words")
    assert info.base_digest == of_kind(events, "started")[0].base_digest
    assert info.metrics == of_kind(events, "finished")[0].metrics["final"]
    assert info.density == 0.5
    assert info.spec.max_steps == 12
    assert torch.__version__.startswith(info.versions["torch"].split("+")[0])
