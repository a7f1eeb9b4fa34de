"""Whole runs on toys: they learn, keep to the density, leave the weights alone, and resume to the last bit."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM

from pruning import mask_file
from pruning.checkpoint import Checkpoints
from pruning.errors import Permanent, Stopped
from pruning.events import Event
from pruning.models import digest
from pruning.sources import Sources
from tests import toys
from tests.pruning.running import arguments_of, fork, make_sources, run_toy

LEARNING: dict[str, Any] = {"max_steps": 100, "batch_size": 16, "dropout": 0.0, "validation_rows": None}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


def of_kind(events: list[Event], kind: str) -> list[Any]:
    return [event for event in events if event.event == kind]


def stop_after(steps: int) -> Callable[[], bool]:
    """For ``should_stop``, which is asked once after every step."""
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= steps


def masks_in(work: Path) -> dict[str, np.ndarray]:
    return mask_file.read(work / "artifacts" / "mask.safetensors")[0]


def same_masks(first: Path, second: Path) -> bool:
    ours, theirs = masks_in(first), masks_in(second)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every run that is prepared, to be looked at once it has ended."""
    from pruning import train as module

    runs: list[Any] = []
    real = module.prepare

    def noting(*given: Any) -> Any:
        runs.append(real(*given))
        return runs[-1]

    monkeypatch.setattr(module, "prepare", noting)
    return runs


@pytest.mark.parametrize("shape", toys.SHAPES)
@pytest.mark.parametrize("method", ["smp-s", "smp-l"])
def test_a_toy_of_every_shape_learns_the_task_with_half_its_weights(
    sources: Sources, tmp_path: Path, shape: str, method: str
) -> None:
    events = run_toy(sources, tmp_path, model=shape, method=method, **LEARNING)
    result = events[-1].metrics  # type: ignore[union-attr]
    assert result["final"]["accuracy"] >= 0.8  # the classes are of one size
    assert result["remaining"] == pytest.approx(0.5, abs=1e-3)


def test_a_regression_is_learnt_too(sources: Sources, tmp_path: Path) -> None:
    result = run_toy(sources, tmp_path, task="stsb", **LEARNING)[-1].metrics  # type: ignore[union-attr]
    assert set(result["final"]) == {"pearson", "spearman"}
    assert result["final"]["pearson"] > 0.7 > result["before"]["pearson"]


@pytest.mark.parametrize(
    ("method", "sparsity"), [("smp-s", 0.9), ("smp-l", 0.9), ("smp-s", 0.97), ("smp-s", 0.333), ("smp-l", 0.0)]
)
def test_the_density_asked_for_is_the_density_got(
    sources: Sources, tmp_path: Path, method: str, sparsity: float
) -> None:
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
    assert of_kind(events, "started")[0].base_digest == digest(stock)
    (run,) = captured
    parameters = dict(stock.named_parameters())
    for path, layer in run.matrices.layers.items():
        assert torch.equal(layer.base, parameters[f"{path}.weight"])
        assert torch.equal(layer.weight, parameters[f"{path}.weight"] * layer.mask)
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
        "mask.safetensors", "mask.espalier", "predictions.jsonl",
    ]  # fmt: skip
    assert events[-1].event == "finished"


def test_two_runs_of_one_spec_are_the_same_and_another_seed_is_not(
    sources: Sources, tmp_path: Path, captured: list[Any]
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_toy(sources, tmp_path / name, seed=seed)
    assert same_masks(tmp_path / "a", tmp_path / "b")
    assert not same_masks(tmp_path / "a", tmp_path / "c")
    first, second, _ = captured
    for path, layer in first.matrices.layers.items():
        assert torch.equal(layer.scores, second.matrices.layers[path].scores)


@pytest.mark.parametrize("method", ["smp-s", "smp-l"])
@pytest.mark.parametrize("steps", [1, 7, 11, 12])
def test_a_run_that_was_stopped_and_resumed_ends_as_if_it_never_was(
    sources: Sources, tmp_path: Path, captured: list[Any], method: str, steps: int
) -> None:
    settings: dict[str, Any] = {"method": method, "dropout": 0.2, "eval_every": 5, "gradient_accumulation": 2}
    whole = run_toy(sources, tmp_path / "whole", **settings)
    with pytest.raises(Stopped) as stopped:
        run_toy(sources, tmp_path / "cut", should_stop=stop_after(steps), **settings)
    assert stopped.value.step == steps
    torch.manual_seed(999)
    resumed = run_toy(sources, tmp_path / "cut", **settings)
    assert of_kind(resumed, "started")[0].resumed_from == steps
    assert same_masks(tmp_path / "whole", tmp_path / "cut")
    one, _, other = captured
    for path, layer in one.matrices.layers.items():
        assert torch.equal(layer.scores, other.matrices.layers[path].scores)
    predictions = [tmp_path / name / "artifacts" / "predictions.jsonl" for name in ("whole", "cut")]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()
    assert whole[-1].metrics["final"] == resumed[-1].metrics["final"]  # type: ignore[union-attr]


def test_dropout_is_active_while_training(sources: Sources, tmp_path: Path) -> None:
    for name, dropout in (("a", 0.0), ("b", 0.2)):
        run_toy(sources, tmp_path / name, dropout=dropout)
    assert not same_masks(tmp_path / "a", tmp_path / "b")


def test_a_checkpoint_of_another_spec_is_not_resumed(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run_toy(sources, tmp_path, should_stop=stop_after(4))
    assert of_kind(run_toy(sources, tmp_path, seed=7), "started")[0].resumed_from == 0


def test_a_corrupt_newest_checkpoint_falls_back_and_still_ends_the_same(sources: Sources, tmp_path: Path) -> None:
    settings = {"checkpoint_every": 3, "dropout": 0.2}
    run_toy(sources, tmp_path / "whole", **settings)
    with pytest.raises(Stopped):
        run_toy(sources, tmp_path / "cut", should_stop=stop_after(8), **settings)
    newest = max((tmp_path / "cut" / "checkpoints").glob("step-*"))
    newest.write_bytes(newest.read_bytes()[:-100])
    assert of_kind(run_toy(sources, tmp_path / "cut", **settings), "started")[0].resumed_from == 6
    assert same_masks(tmp_path / "whole", tmp_path / "cut")


def test_checkpoints_come_as_often_as_asked(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, checkpoint_every=5)
    assert [event.step for event in of_kind(events, "checkpoint")] == [5, 10]


def test_a_checkpoint_that_cannot_be_written_ends_the_run(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Checkpoints, "_put", full)
    with pytest.raises(OSError, match="No space"):
        run_toy(sources, tmp_path, checkpoint_every=4)


def test_killed_at_once_and_started_again_the_program_gives_the_mask_of_an_undisturbed_run(
    sources: Sources, tmp_path: Path
) -> None:
    settings = {"max_steps": 50, "checkpoint_every": 4, "dropout": 0.2, "gradient_accumulation": 4}
    run_toy(sources, tmp_path / "whole", **settings)
    arguments = arguments_of(tmp_path / "killed", settings, sources)
    process = fork(arguments, tmp_path / "first")
    process.next_event("checkpoint")
    process.signal(signal.SIGKILL)
    assert process.finish().code == -signal.SIGKILL
    assert not (tmp_path / "killed" / "artifacts" / "mask.safetensors").exists()
    again = fork(arguments, tmp_path / "second").finish()
    assert again.code == 0, again.stderr
    assert of_kind(again.events, "started")[0].resumed_from >= 4
    ours = load_file(tmp_path / "whole/artifacts/mask.safetensors")
    theirs = load_file(tmp_path / "killed/artifacts/mask.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


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
    rows = [{**row, "label": 1e30} for row in toys.ratings(32, 1)]
    toys.write_splits(tmp_path / "data" / "stsb", {"train": rows, "validation": toys.ratings(8, 1)})
    huge = Sources(sources.models_dir, tmp_path / "data", hub=False)
    with pytest.raises(Permanent, match="step 0") as caught:
        run_toy(huge, tmp_path / "work", task="stsb")
    assert (caught.value.code, caught.value.param) == ("diverged", "learning_rate")


def test_inputs_longer_than_the_model_are_cut_with_a_warning(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, max_length=512)
    (warning,) = [log for log in of_kind(events, "log") if log.level == "warning"]
    assert "512" in warning.message
    assert str(toys.POSITIONS) in warning.message
    assert mask_file.read_info(tmp_path / "artifacts" / "mask.safetensors").max_length == toys.POSITIONS


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


def test_a_stop_during_the_final_evaluation_is_honoured_and_nothing_is_trained_again(
    sources: Sources, tmp_path: Path, captured: list[Any]
) -> None:
    whole = run_toy(sources, tmp_path / "whole")
    with pytest.raises(Stopped) as stopped:
        run_toy(
            sources, tmp_path / "cut", should_stop=stop_after(13)
        )  # twelve steps, then the evaluation's first batch
    assert stopped.value.step == 12
    resumed = run_toy(sources, tmp_path / "cut")
    assert of_kind(resumed, "started")[0].resumed_from == 12
    assert not of_kind(resumed, "step")
    assert same_masks(tmp_path / "whole", tmp_path / "cut")
    assert whole[-1].metrics["final"] == resumed[-1].metrics["final"]  # type: ignore[union-attr]
