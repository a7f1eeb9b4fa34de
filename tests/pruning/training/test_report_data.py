"""Reports of real runs: their numbers equal those of the run's other artifacts, and an interruption leaves no gap."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pruning.errors import StoppedError
from pruning.events import Event
from pruning.formats import mask_file
from pruning.sources import Sources
from tests.pruning.runs import finished, make_sources, of_kind, run_toy, stop_after
from tests.toy_datasets import make_span_dataset


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder = tmp_path_factory.mktemp("toys")
    made = make_sources(folder)
    make_span_dataset(folder / "datasets" / "squad")
    return made


def report_in(work: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((work / "artifacts" / "report.json").read_text("utf-8"))
    return found


def test_the_numbers_are_those_of_the_artifacts(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, eval_every=4, sparsity=0.95)
    report = report_in(tmp_path)
    assert report["result"] == finished(events)
    masks, info = mask_file.read(tmp_path / "artifacts" / "mask.safetensors")
    assert {row["path"]: row["kept"] for row in report["matrices"]} == info.kept
    for row in report["matrices"]:
        mask = masks[row["path"]]
        assert (row["rows"], row["columns"]) == mask.shape
        assert row["empty_rows"] == sum(not line.any() for line in mask)
        assert row["empty_columns"] == sum(not line.any() for line in mask.T)
    query = masks["bert.encoder.layer.1.attention.self.query"]
    head = next(head for head in report["heads"] if (head["layer"], head["head"]) == ("1", 1))
    assert head["parts"]["query"] == query[16:].mean()
    (scores,) = report["scores"]
    predictions = [json.loads(line) for line in (tmp_path / "artifacts" / "predictions.jsonl").read_text().splitlines()]
    counts = np.zeros((2, 2), dtype=int)
    for row in predictions:
        counts[row["label"], row["prediction"]] += 1
    assert scores["confusion"] == {"labels": ["negative", "positive"], "counts": counts.tolist()}
    assert report["spec"] == info.spec.model_dump(mode="json")
    assert [row["step"] for row in report["evaluations"]] == [0, 4, 8, 12]
    assert len(report["curves"]["step"]) == 12
    assert {row["artifact"] for row in report["sizes"]} >= {"mask.safetensors", "mask.espalier", "predictions.jsonl"}
    _announced_last(events, tmp_path)


def _announced_last(events: list[Event], work: Path) -> None:
    announced = {event.name: event for event in of_kind(events, "artifact")}
    assert list(announced)[-2:] == ["report.json", "report.html"]
    assert announced["report.html"].media_type == "text/html; charset=utf-8"
    assert announced["report.html"].bytes == (work / "artifacts" / "report.html").stat().st_size


def test_a_run_that_was_interrupted_twice_has_the_curves_of_one_that_was_not(sources: Sources, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"eval_every": 3, "dropout": 0.2}
    run_toy(sources, tmp_path / "whole", **settings)
    for steps in (5, 4):
        with pytest.raises(StoppedError):
            run_toy(sources, tmp_path / "cut", should_stop=stop_after(steps), **settings)
    run_toy(sources, tmp_path / "cut", **settings)
    whole, cut = report_in(tmp_path / "whole"), report_in(tmp_path / "cut")
    assert (whole["curves"].pop("resumed"), cut["curves"].pop("resumed")) == ([], [5, 9])
    assert cut["curves"] == whole["curves"]
    assert cut["evaluations"] == whole["evaluations"]
    assert cut["cost"]["seconds"] > 0


def test_a_regression_has_points_and_a_question_task_f1_by_question(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "stsb", task="stsb", max_steps=2)
    rows = [json.loads(line) for line in (tmp_path / "stsb/artifacts/predictions.jsonl").read_text().splitlines()]
    assert report_in(tmp_path / "stsb")["scores"][0]["points"] == [[row["label"], row["prediction"]] for row in rows]
    run_toy(sources, tmp_path / "squad", task="squad", max_steps=2, max_length=48, stride=8, validation_rows=12)
    report = report_in(tmp_path / "squad")
    assert sum(report["scores"][0]["f1_histogram"]) == 12
    assert report["result"]["final"].keys() == {"f1", "exact_match"}
    assert "Questions by the F1" in (tmp_path / "squad/artifacts/report.html").read_text("utf-8")


def test_a_method_without_training_has_a_report_too(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path, method="random", max_steps=None)
    assert report_in(tmp_path)["curves"]["step"] == []
    assert "makes its mask at once" in (tmp_path / "artifacts" / "report.html").read_text("utf-8")


@pytest.mark.parametrize("fields", [{"max_steps": 40}, {"max_steps": 40, "task": "stsb"}], ids=["classes", "regression"])
def test_the_signal_to_noise_is_measured_at_fixed_steps_and_with_evaluations(
    sources: Sources, tmp_path: Path, fields: dict[str, Any]
) -> None:
    events = run_toy(sources, tmp_path / "whole", eval_every=21, **fields)
    curve = report_in(tmp_path / "whole")["curves"]["signal_to_noise"]
    assert curve["step"] == [20, 40]
    assert all(0 < value <= 1 for value in curve["value"])
    before, *trained = of_kind(events, "evaluation")
    assert before.signal_to_noise is None
    assert trained[-1].signal_to_noise == curve["value"][-1] == of_kind(events, "step")[-1].signal_to_noise
    if "task" not in fields:
        assert [sum(event.predicted) for event in trained] == [32, 32]
    with pytest.raises(StoppedError):
        run_toy(sources, tmp_path / "cut", should_stop=stop_after(20), eval_every=21, **fields)
    run_toy(sources, tmp_path / "cut", eval_every=21, **fields)
    assert report_in(tmp_path / "cut")["curves"]["signal_to_noise"] == curve


def test_a_method_without_scores_has_no_signal(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path, method="magnitude")
    assert report_in(tmp_path)["curves"]["signal_to_noise"] == {"step": [], "value": []}


def test_a_run_at_chance_ends_with_warnings_in_events_and_report(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, sparsity=0.97, max_steps=2, ramp=1.0)
    warned = of_kind(events, "warning")
    assert warned[0].code == "budget_small"
    final = of_kind(events, "evaluation")[-1]
    at_chance = {"predicts_one_class"} if final.constant_prediction else {"no_better_than_constant"}
    assert {warning.code for warning in warned[1:]} == at_chance
    report = report_in(tmp_path)
    assert [warning["code"] for warning in report["warnings"]] == [warning.code for warning in warned]
    assert warned[0].remedy in (tmp_path / "artifacts" / "report.html").read_text("utf-8")
