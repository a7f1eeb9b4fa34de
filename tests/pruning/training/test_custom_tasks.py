"""Tasks on a user's own columns: class names or ids, one or two texts, regression, and label words made from names."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pruning.errors import PermanentError, StoppedError
from pruning.events import Event
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec
from pruning.training.checkpoint import identity
from tests import toy_architectures, toy_datasets
from tests.pruning.runs import make_sources, run_toy, stop_after
from tests.toy_datasets import read_lines

NAMES = ("very_terrible", "very_great")
TASK: dict[str, Any] = {"dataset": "org/reviews", "text": ["body"], "label": "verdict", "labels": list(NAMES)}


def reviews(count: int, seed: int) -> list[dict[str, Any]]:
    return [
        {
            "body": row["sentence"],
            "title": " ".join(row["sentence"].split()[:2]),
            "verdict": NAMES[row["label"]],
            "id": row["label"],
            "stars": 2.0 * row["label"] + 1,
            "unused": None,
        }
        for row in toy_datasets.opinions(count, seed)
    ]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    toy_architectures.make_classifier(root / "models" / "finished", NAMES[::-1])
    toy_architectures.make_classifier(root / "models" / "other-names", ("a", "b"))
    toy_datasets.write_splits(
        root / "datasets" / "org" / "reviews", {"train": reviews(96, 1), "validation": reviews(32, 2), "dev": reviews(8, 3)}
    )
    return sources


def test_rows_of_the_only_split_are_held_out_and_measured_on(sources: Sources, tmp_path: Path) -> None:
    assert sources.datasets_dir is not None
    toy_datasets.write_splits(sources.datasets_dir / "org" / "alone", {"train": reviews(96, 1)})
    fields: dict[str, Any] = {"task": {**TASK, "dataset": "org/alone"}, "validation_rows": None, "max_steps": 2}
    with pytest.raises(StoppedError):
        run_toy(sources, tmp_path / "run", should_stop=stop_after(1), **fields)
    events = run_toy(sources, tmp_path / "run", validation_share=0.1, **fields)  # the service has it in the spec once it is known
    started = next(event for event in events if event.event == "started")
    assert (started.train_rows, started.validation_rows, started.validation_share, started.resumed_from) == (87, 9, 0.1, 1)
    report = json.loads((tmp_path / "run" / "artifacts" / "report.json").read_text())
    assert (report["spec"]["validation_share"], report["data"]["held_out_share"]) == (0.1, 0.1)
    assert any("held out" in event.message for event in events if event.event == "log")
    pruned = load_pruned(tmp_path / "run" / "artifacts" / "mask.safetensors", sources=sources)
    assert evaluate_mask(pruned, sources) == metrics_of(events)["final"]


@pytest.mark.parametrize("given", [None, 0.1])
def test_a_checkpoint_whose_identity_lacks_the_default_share_is_resumed(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: float | None
) -> None:
    """``given``: what the spec in the database has, which the first attempt by this version completes."""
    assert sources.datasets_dir is not None
    toy_datasets.write_splits(sources.datasets_dir / "org" / "older", {"train": reviews(32, 1)})
    fields: dict[str, Any] = {"task": {**TASK, "dataset": "org/older"}, "validation_rows": None, "max_steps": 2}
    with monkeypatch.context() as older:
        older.setattr(
            "pruning.training.train.identity",
            lambda spec, *about: identity(spec.model_copy(update={"validation_share": None}), *about),
        )
        with pytest.raises(StoppedError):
            run_toy(sources, tmp_path, should_stop=stop_after(1), **fields)
    resumed = run_toy(sources, tmp_path, validation_share=given, **fields)
    assert next(event for event in resumed if event.event == "started").resumed_from == 1


def metrics_of(events: list[Event]) -> dict[str, Any]:
    last = events[-1]
    assert last.event == "finished"
    return last.metrics


def spec(**fields: Any) -> PruningSpec:
    return PruningSpec.model_validate({"model": "m", "task": {**TASK, **fields}})


def faults(**fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        spec(**fields)
    return [fault["param"] for fault in error_details(caught.value)]


def test_class_names_are_learnt_with_words_made_from_them(sources: Sources, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"max_steps": 100, "batch_size": 16, "dropout": 0.0, "validation_rows": None}
    result = metrics_of(run_toy(sources, tmp_path, task=TASK, **fields))
    assert result["primary_metric"] == "accuracy"
    assert result["final"]["accuracy"] >= 0.8
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    assert pruned.info.label_words == ("terrible", "great")
    assert pruned.labels == NAMES
    assert pruned.info.task == "org/reviews"
    rows = reviews(32, 2)
    predictions = read_lines(tmp_path / "artifacts" / "predictions.jsonl")
    assert [row["label"] for row in predictions] == [NAMES.index(row["verdict"]) for row in rows]
    assert pruned.predict([row["body"] for row in rows]) == [row["prediction"] for row in predictions]


def test_class_names_and_class_ids_are_the_same_task(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "names", task=TASK)
    run_toy(sources, tmp_path / "ids", task={**TASK, "label": "id"})
    run_toy(
        sources,
        tmp_path / "words",
        task={**{k: v for k, v in TASK.items() if k != "labels"}, "label": "id", "label_words": ["terrible", "great"]},
    )
    names, ids, words = (read_lines(tmp_path / n / "artifacts" / "predictions.jsonl") for n in ("names", "ids", "words"))
    assert names == ids == words


def test_two_text_columns_are_read_in_the_order_given(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path / "one", task={**TASK, "text": ["title", "body"]})
    run_toy(sources, tmp_path / "other", task={**TASK, "text": ["body", "title"]})
    rows = reviews(32, 2)
    titles, bodies = [row["title"] for row in rows], [row["body"] for row in rows]
    for name, texts in (("one", (titles, bodies)), ("other", (bodies, titles))):
        pruned = load_pruned(tmp_path / name / "artifacts" / "mask.safetensors", sources=sources)
        expected = [row["logits"] for row in read_lines(tmp_path / name / "artifacts" / "predictions.jsonl")]
        assert np.array_equal(pruned.logits(*texts), np.array(expected, dtype=np.float32))
        assert not np.array_equal(pruned.logits(*texts[::-1]), np.array(expected, dtype=np.float32))


@pytest.mark.parametrize("metric", [None, "spearman"])
def test_a_number_is_regressed_on(sources: Sources, tmp_path: Path, metric: str | None) -> None:
    task = {
        "dataset": "org/reviews",
        "text": ["body"],
        "label": "stars",
        "kind": "regression",
        "label_words": ["great"],
        "metric": metric,
    }
    events = run_toy(sources, tmp_path, task=task, max_steps=80, dropout=0.0, batch_size=16)
    result = metrics_of(events)
    assert list(result["final"]) == [metric or "pearson"]
    assert result["final"][metric or "pearson"] > 0.5
    predictions = read_lines(tmp_path / "artifacts" / "predictions.jsonl")
    assert {row["label"] for row in predictions} == {1.0, 3.0}
    assert all(isinstance(row["prediction"], float) for row in predictions)


@pytest.mark.parametrize("metric", ["accuracy", "f1", "matthews"])
def test_the_metric_asked_for_names_the_result(sources: Sources, tmp_path: Path, metric: str) -> None:
    result = metrics_of(run_toy(sources, tmp_path, task={**TASK, "metric": metric}))
    assert (result["primary_metric"], list(result["final"])) == (metric, [metric])


def test_splits_have_the_names_given(sources: Sources, tmp_path: Path) -> None:
    task = {**TASK, "train_split": "validation", "validation_split": "dev"}
    events = run_toy(sources, tmp_path, task=task)
    started = next(event for event in events if event.event == "started")
    assert (started.train_rows, started.validation_rows) == (32, 8)
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    assert evaluate_mask(pruned, sources) == pruned.info.metrics


def test_many_classes_have_one_logit_each_and_macro_f1(sources: Sources, tmp_path: Path) -> None:
    words = ["terrible", "great", "Maybe", "correct"]
    rows = [{"t": row["sentence"], "label": words[(i * 7 + i // 3) % 4]} for i, row in enumerate(toy_datasets.opinions(64, 5))]
    assert sources.datasets_dir is not None
    toy_datasets.write_splits(sources.datasets_dir / "four", {"train": rows[:40], "validation": rows[40:]})
    task = {"dataset": "four", "text": ["t"], "labels": words, "metric": "f1"}
    result = metrics_of(run_toy(sources, tmp_path, task=task))
    predictions = read_lines(tmp_path / "artifacts" / "predictions.jsonl")
    assert all(len(row["logits"]) == 4 for row in predictions)
    per_class = []
    for c in {row["label"] for row in predictions} | {row["prediction"] for row in predictions}:
        hits = sum(row["label"] == row["prediction"] == c for row in predictions)
        both = sum((row["label"] == c) + (row["prediction"] == c) for row in predictions)
        per_class.append(2 * hits / both)
    assert result["final"]["f1"] == pytest.approx(sum(per_class) / len(per_class))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["negative", "positive"], ("negative", "positive")),
        (["not_equivalent", "equivalent"], ("not", "equivalent")),
        (["very terrible", "quite great"], ("terrible", "great")),
        (["class-yes", "class-no"], ("yes", "no")),
        (["sports/ball", "politics.state", "_art_"], ("ball", "state", "art")),
        (["3 stars", "4 stars"], ("3", "4")),
    ],
)
def test_words_are_proposed_from_class_names_and_shown(labels: list[str], words: tuple[str, ...]) -> None:
    resolved = spec(labels=labels)
    assert resolved.label_words == words
    shown = resolved.model_dump(mode="json")
    assert (shown["label_words"], shown["task"]["label_words"]) == (list(words), [])
    assert PruningSpec.model_validate(shown) == resolved
    classifier = PruningSpec(model="m", task={**TASK, "labels": labels}, head="classifier")
    assert classifier.label_words == classifier.task_info.label_words == ()


def test_words_given_are_kept() -> None:
    assert spec(label_words=["bad", "good"]).label_words == ("bad", "good")
    assert PruningSpec.model_validate({"model": "m", "task": TASK, "label_words": ["bad", "good"]}).label_words == ("bad", "good")


@pytest.mark.parametrize("labels", [["a b", "b b", "a c"], ["...", "yes"], ["LABEL_1 x", "LABEL_2 x", "OTHER_1 x"]], ids=str)
def test_names_that_propose_no_distinct_words_ask_for_words(labels: list[str]) -> None:
    assert faults(labels=labels) == ["task.label_words"]


def test_neither_names_nor_words_is_refused() -> None:
    assert faults(labels=None) == ["task.label_words"]


def test_as_many_words_as_names_are_needed() -> None:
    assert faults(label_words=["a", "b", "c"]) == ["task.labels"]


def test_a_proposed_word_that_the_model_does_not_know_is_refused_by_name(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="zebra") as caught:
        run_toy(sources, tmp_path, task={**TASK, "labels": ["very_terrible", "zebra"]})
    assert caught.value.code == "label_word_unknown"


@pytest.mark.parametrize(
    ("verdict", "number"), [("excellent", 3), ("VERY_GREAT", 5), (2, 1), (-1, 4), (None, 2), (0.5, 6), ([], 1)]
)
def test_a_label_that_is_no_class_is_named_by_its_row(sources: Sources, tmp_path: Path, verdict: Any, number: int) -> None:
    rows = reviews(6, 1)
    rows[number - 1]["verdict"] = verdict
    toy_datasets.write_splits(tmp_path / "org" / "reviews", {"train": rows, "validation": rows})
    with pytest.raises(PermanentError, match=f"row {number} ") as caught:
        run_toy(Sources(sources.models_dir, tmp_path, hub=False), tmp_path / "work", task=TASK)
    assert caught.value.code == "labels_mismatch"
    assert repr(verdict) in caught.value.message
    assert "very_great" in caught.value.message  # and what would have been right


def test_a_label_of_another_kind_is_named_by_its_row(sources: Sources, tmp_path: Path) -> None:
    rows = reviews(6, 1)
    rows[2]["verdict"] = True
    toy_datasets.write_splits(tmp_path / "org" / "reviews", {"train": rows, "validation": rows})
    with pytest.raises(PermanentError, match=r"boolean.*row 3\b.*text.*row 1\b") as caught:
        run_toy(Sources(sources.models_dir, tmp_path, hub=False), tmp_path / "work", task=TASK)
    assert caught.value.code == "labels_mismatch"


def test_a_wrong_label_of_the_validation_rows_is_found_before_training(sources: Sources, tmp_path: Path) -> None:
    rows = reviews(6, 1)
    toy_datasets.write_splits(tmp_path / "org" / "reviews", {"train": rows, "validation": [*rows, {**rows[0], "verdict": "new"}]})
    with pytest.raises(PermanentError, match=r"row 7 .*'validation'") as caught:
        run_toy(Sources(sources.models_dir, tmp_path, hub=False), tmp_path / "work", task=TASK)
    assert caught.value.code == "labels_mismatch"
    assert not (tmp_path / "work").exists()


def test_a_column_that_is_not_there_is_named(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="headline") as caught:
        run_toy(sources, tmp_path, task={**TASK, "text": ["headline"]})
    assert caught.value.code == "column_missing"


def test_a_trained_classifier_is_matched_to_the_classes_by_name(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path, model="finished", head="classifier", task=TASK)
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    assert pruned.info.columns == (1, 0)
    assert pruned.info.weights_sha256 is None  # its head stays as it was
    rows = reviews(32, 2)
    expected = [row["logits"] for row in read_lines(tmp_path / "artifacts" / "predictions.jsonl")]
    assert pruned.logits([row["body"] for row in rows]).tolist() == expected


def test_a_trained_classifier_of_other_classes_is_refused(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(PermanentError) as caught:
        run_toy(sources, tmp_path, model="other-names", head="classifier", task=TASK)
    assert (caught.value.code, caught.value.param) == ("labels_mismatch", "model")
