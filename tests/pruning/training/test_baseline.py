"""Dense baseline of a run: it learns, does not change the mask, and is repeated alone after an interruption."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from pruning import failpoints
from pruning.errors import StoppedError
from pruning.evaluation.evaluate import evaluate_all, merge_metrics
from pruning.events import BaselineEvent
from pruning.failpoints import AT, Failpoint
from pruning.sources import Sources
from pruning.training import baseline as module
from pruning.training import losses
from pruning.training.baseline import dense_head, rate_share
from tests import toy_architectures
from tests.pruning.runs import arguments_of, finished, fork, make_sources, of_kind, run_toy
from tests.toy_datasets import TOPICS, make_span_dataset, topics, write_splits
from tests.toy_tagged import tagged

MASKS = ("mask.safetensors", "mask.espalier", "predictions.jsonl")
BASELINE: dict[str, Any] = {"baseline": True, "baseline_learning_rate": 1e-3, "dropout": 0.2}
KINDS: dict[str, dict[str, Any]] = {
    "words": {},
    "plain words": {"calibrate_logits": False, "gradient_accumulation": 3},
    "decoder": {"model": toy_architectures.DECODERS[0]},
    "classifier": {"head": "classifier"},
    "class weights": {"head": "classifier", "fit_readout": True, "class_weights": [1, 9]},
    "regression": {"task": "stsb"},
    "span": {"task": "squad", "max_length": 40, "stride": 8},
    "trained weights": {"method": "movement", "train_biases": True},
    "several labels": {
        "task": {"dataset": "topics", "text": ["text"], "label": "topics", "kind": "multilabel", "labels": list(TOPICS)}
    },
    "tags": {"task": {"dataset": "tagged", "text": ["words"], "label": "tags", "kind": "token-classification"}},
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    make_span_dataset(root / "datasets" / "squad", train=128)
    write_splits(root / "datasets" / "topics", {"train": topics(96, 1), "validation": topics(48, 2)})
    write_splits(root / "datasets" / "tagged", {"train": tagged(96, 1), "validation": tagged(48, 2)})
    toy_architectures.make_model(root / "models" / toy_architectures.DECODERS[0], toy_architectures.DECODERS[0])
    return sources


def result_of(events: list[Any]) -> dict[str, Any]:
    result: dict[str, Any] = finished(events)
    return result


def bytes_of(work: Path) -> dict[str, bytes]:
    return {name: (work / "artifacts" / name).read_bytes() for name in MASKS}


def baseline_of(events: list[Any]) -> dict[str, Any]:
    """What is reported of it, without what depends on the clock."""
    found = dict(result_of(events)["baseline"])
    return {name: value for name, value in found.items() if name not in ("seconds", "rows_per_second")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_dense_model_starts_as_it_was_submitted_and_every_weight_is_trained(
    sources: Sources, tmp_path: Path, captured: list[Any], kind: str
) -> None:
    events = run_toy(sources, tmp_path, **{**BASELINE, "max_steps": 4, **KINDS[kind]})
    (run,), result = captured, result_of(events)
    head = dense_head(run)
    assert merge_metrics(evaluate_all(head, run.validation, run.task, run.device), run.validation) == result["before"]
    assert all(parameter.requires_grad for parameter in head.parameters())
    assert set(result["baseline"]["metrics"]) == set(result["final"])
    assert result["baseline"]["steps"] == 4
    assert result["baseline"]["rows_per_second"] > 0


def test_the_mask_is_the_same_to_the_last_byte_with_and_without_it(sources: Sources, tmp_path: Path) -> None:
    without = result_of(run_toy(sources, tmp_path / "without", dropout=0.2))
    events = run_toy(sources, tmp_path / "with", **BASELINE)
    assert bytes_of(tmp_path / "with") == bytes_of(tmp_path / "without")
    assert result_of(events)["weights_changed"] is False
    assert without["baseline"] is None
    written = {file.name for file in (tmp_path / "with" / "artifacts").iterdir()}
    assert written == {file.name for file in (tmp_path / "without" / "artifacts").iterdir()}


def test_it_learns_and_says_how_far_it_is(sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", (0.0, 0.0))
    events = run_toy(sources, tmp_path, **BASELINE, max_steps=60, batch_size=16, validation_rows=None)
    assert result_of(events)["baseline"]["metrics"]["accuracy"] >= 0.9
    progress: list[BaselineEvent] = of_kind(events, "baseline")
    assert [event.step for event in progress] == list(range(1, 61))
    assert progress[-1].metrics == result_of(events)["baseline"]["metrics"]
    assert progress[-1].eta_seconds == 0
    assert progress[-1].rows_per_second > 0
    assert [event.learning_rate for event in progress] == [1e-3 * rate_share(t, 60) for t in range(60)]
    assert [event.phase for event in of_kind(events, "phase")][-2:] == ["saving", "baseline"]


def test_a_stopped_baseline_is_redone_and_the_mask_is_not(sources: Sources, tmp_path: Path) -> None:
    whole = run_toy(sources, tmp_path / "whole", **BASELINE)
    steps = 0

    def should_stop() -> bool:
        return steps > 3

    def count(failpoint: object) -> None:
        nonlocal steps
        steps += failpoint is Failpoint.BASELINE_STEP

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failpoints, "hit", count)
        with pytest.raises(StoppedError) as stopped:
            run_toy(sources, tmp_path / "cut", should_stop=should_stop, **BASELINE)
    assert (stopped.value.step, steps) == (12, 4)
    torch.manual_seed(999)
    resumed = run_toy(sources, tmp_path / "cut", **BASELINE)
    assert of_kind(resumed, "started")[0].resumed_from == 12
    assert of_kind(resumed, "step") == []
    assert baseline_of(resumed) == baseline_of(whole)
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")


def test_after_a_kill_in_the_baseline_no_step_of_the_mask_is_repeated(sources: Sources, tmp_path: Path) -> None:
    work, spec = tmp_path / "work", {**BASELINE, "checkpoint_every": 500}
    before = f"import os; os.environ.update({ {AT: str(Failpoint.BASELINE_STEP)}!r})"
    killed = fork(arguments_of(work, spec, sources), tmp_path / "1", before=before).finish()
    assert killed.code == -signal.SIGKILL
    masks = bytes_of(work)
    ended = fork(arguments_of(work, spec, sources), tmp_path / "2").finish()
    assert ended.code == 0, ended.stderr
    assert of_kind(ended.events, "started")[0].resumed_from == 12
    assert bytes_of(work) == masks
    assert baseline_of(ended.events)["steps"] == 12


def test_a_terminated_program_leaves_the_baseline_with_the_code_for_it(sources: Sources, tmp_path: Path) -> None:
    work = tmp_path / "work"
    spec = {**BASELINE, "max_steps": 4000, "sparsity": 0.5, "ramp": 1.0, "eval_every": 4000, "validation_rows": 8}
    before = "from pruning.training import train as t; t.run_loop = lambda *_: None"  # only the baseline is to take its time
    program = fork(arguments_of(work, spec, sources), tmp_path / "1", before=before)
    program.next_event("baseline")
    program.signal(signal.SIGTERM)
    assert program.finish().code == 80


def test_a_baseline_that_diverges_is_a_warning_and_the_mask_is_there(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = losses.loss_function
    monkeypatch.setattr(module, "loss_function", lambda *given: lambda batch: real(*given)(batch) * float("inf"))
    events = run_toy(sources, tmp_path, **BASELINE)
    assert "baseline_diverged" in [warning.code for warning in of_kind(events, "warning")]
    assert result_of(events)["baseline"] is None
    assert set(MASKS) <= {file.name for file in (tmp_path / "artifacts").iterdir()}


def test_a_dense_model_that_learns_nothing_is_warned_of(sources: Sources, tmp_path: Path) -> None:
    idle = run_toy(sources, tmp_path / "idle", **{**BASELINE, "baseline_learning_rate": 1e-12, "validation_rows": 8})
    assert "baseline_at_chance" in [warning.code for warning in of_kind(idle, "warning")]
    learnt = run_toy(sources, tmp_path / "learnt", **BASELINE, max_steps=60, batch_size=16, validation_rows=None)
    assert "baseline_at_chance" not in [warning.code for warning in of_kind(learnt, "warning")]
