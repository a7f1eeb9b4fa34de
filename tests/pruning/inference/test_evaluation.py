"""Evaluation of a finished mask: the numbers of its training, other splits, other data sets, and their labels."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.errors import PermanentError
from pruning.events import Event
from pruning.inference.evaluation import EvaluationRows, run_evaluation
from pruning.sources import Sources
from tests.pruning.runs import finished, fork, make_sources, run_toy
from tests.toy_datasets import opinions, read_lines, write_splits
from tests.toy_tagged import tagged


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    rows = opinions(40, 7)
    named = [{**row, "label": ("negative", "positive")[row["label"]]} for row in rows]
    splits = {
        "validation": rows,
        "named": named,
        "odd": [*rows[:5], {"sentence": "x", "label": 2}],
        "strange": [*named[:3], {**named[0], "label": "bad"}],
        "bare": [{"text": "x", "label": 1}],
        "empty": [],
    }
    write_splits(root / "datasets" / "reviews", splits)
    words = {"train": tagged(60, 1), "validation": tagged(20, 2)}
    write_splits(root / "datasets" / "tagged", words)
    other = [{**row, "tags": ["B-NEW" if tag != "O" else tag for tag in row["tags"]]} for row in tagged(20, 3)]
    write_splits(root / "datasets" / "others", {"validation": tagged(20, 2), "test": other})
    return sources


@pytest.fixture(scope="module")
def trained(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Artifacts of a run on some of the validation rows, and its result."""
    work = tmp_path_factory.mktemp("run")
    events = run_toy(sources, work, max_steps=6)
    return work / "artifacts", finished(events)


def evaluate(mask: Path, sources: Sources, *, dense: bool = False, **chosen: Any) -> tuple[dict[str, Any], list[Event]]:
    events: list[Event] = []
    _, result = run_evaluation(mask, EvaluationRows(**chosen), sources, events.append, dense=dense)
    return result, events


def test_by_default_every_number_is_that_of_the_training(sources: Sources, trained: tuple[Path, dict[str, Any]]) -> None:
    artifacts, training = trained
    result, events = evaluate(artifacts / "mask.safetensors", sources, dense=True)
    assert result["final"] == training["final"]
    assert result["before"] == training["before"]
    assert (result["primary_metric"], result["rows"], result["splits"]) == ("accuracy", 32, ["validation"])
    assert result["remaining"] == training["remaining"]
    stages = [event.stage for event in events if event.event == "evaluation"]
    assert stages == ["before", "final"]
    alone, _ = evaluate(artifacts / "mask.safetensors", sources, split="validation")
    assert (alone["final"], alone["before"]) == (training["final"], None)


def test_other_rows_of_the_same_task(sources: Sources, trained: tuple[Path, dict[str, Any]]) -> None:
    mask = trained[0] / "mask.safetensors"
    whole, _ = evaluate(mask, sources, split="train")
    some, _ = evaluate(mask, sources, split="train", rows=10)
    assert (whole["rows"], some["rows"]) == (256, 10)
    more, _ = evaluate(mask, sources, rows=90)
    assert more["rows"] == 90, "rows takes the place of the training's validation_rows"
    with pytest.raises(PermanentError, match="train, validation") as refusal:
        evaluate(mask, sources, split="test")
    assert refusal.value.code == "split_missing"


def test_another_data_set_by_ids_or_by_names(sources: Sources, trained: tuple[Path, dict[str, Any]]) -> None:
    mask = trained[0] / "mask.safetensors"
    ids, events = evaluate(mask, sources, dataset="reviews")
    assert (ids["rows"], ids["dataset"], ids["splits"]) == (40, "reviews", ["validation"])
    names, _ = evaluate(mask, sources, dataset="reviews", split="named")
    assert names["final"] == ids["final"]
    notes = [event.message for event in events if event.event == "log"]
    assert any("0 is class 0 (negative), 1 is class 1 (positive)" in note for note in notes)


@pytest.mark.parametrize(
    ("split", "code", "words"),
    [
        ("odd", "labels_mismatch", r"row 6 .*\b2\b"),
        ("strange", "labels_mismatch", "row 4 .*'bad'"),
        ("bare", "column_missing", "'sentence'"),
        ("empty", "rows_missing", "'empty'"),
    ],
)
def test_rows_that_are_not_the_tasks_are_refused(
    sources: Sources, trained: tuple[Path, dict[str, Any]], split: str, code: str, words: str
) -> None:
    with pytest.raises(PermanentError, match=words) as refusal:
        evaluate(trained[0] / "mask.safetensors", sources, dataset="reviews", split=split)
    assert refusal.value.code == code


def test_tags_that_the_training_did_not_find_are_refused(sources: Sources, tmp_path: Path) -> None:
    task = {"dataset": "tagged", "text": ["words"], "label": "tags", "kind": "token-classification"}
    events = run_toy(sources, tmp_path, task=task, max_steps=2, validation_rows=None)
    mask = tmp_path / "artifacts" / "mask.safetensors"
    same, _ = evaluate(mask, sources, dataset="others")
    assert same["final"] == finished(events)["final"]
    with pytest.raises(PermanentError, match=r"'B-NEW'") as refusal:
        evaluate(mask, sources, dataset="others", split="test")
    assert refusal.value.code == "labels_mismatch"


def test_rows_held_out_of_the_training_split(sources: Sources, tmp_path: Path) -> None:
    assert sources.datasets_dir is not None
    write_splits(sources.datasets_dir / "alone", {"train": opinions(100, 3), "test": opinions(30, 4)})
    task = {"dataset": "alone", "text": ["sentence"], "label": "label", "label_words": ["terrible", "great"]}
    events = run_toy(sources, tmp_path, task=task, max_steps=2, validation_rows=None, validation_share=0.1)
    mask = tmp_path / "artifacts" / "mask.safetensors"
    result, _ = evaluate(mask, sources)
    assert (result["final"], result["rows"]) == (finished(events)["final"], 10)
    assert evaluate(mask, sources, split="test")[0]["rows"] == 30
    assert evaluate(mask, sources, split="train")[0]["rows"] == 90, "those that were trained on"


def test_a_long_evaluation_says_how_far_it_is(
    sources: Sources, trained: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pruning.evaluation.progress._SECONDS", 0.0)
    _, events = evaluate(trained[0] / "mask.safetensors", sources)
    assert "32 of 32 inputs" in [event.message for event in events if event.event == "phase"]


def test_the_program_writes_the_result_and_every_prediction(
    sources: Sources, trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    artifacts, training = trained
    common = ["--no-hub", "--models-dir", str(sources.models_dir), "--datasets-dir", str(sources.datasets_dir)]
    command = ["evaluate", "--mask", str(artifacts / "mask.safetensors"), "--out", str(tmp_path / "out"), *common]
    ended = fork(command, tmp_path).finish()
    assert ended.code == 0, ended.stderr
    assert ended.last.metrics["final"] == training["final"]
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == ended.last.metrics
    assert read_lines(tmp_path / "out" / "predictions.jsonl") == read_lines(artifacts / "predictions.jsonl")
    announced = [event.name for event in ended.events if event.event == "artifact"]
    assert announced == ["predictions.jsonl", "evaluation.json"]
    for options, param in ((["--split", "none"], "split"), (["--dataset", "reviews", "--split", "odd"], "dataset")):
        refused = fork([*command, *options], tmp_path).finish()
        assert (refused.code, refused.last.param) == (65, param)
