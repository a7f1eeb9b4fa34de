"""Multi-label runs: lists and columns are one task, labels are learnt, and masks and exports predict as the run did."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import pipeline

from pruning.errors import PermanentError
from pruning.export.run import run_exports
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.mask_bank import MaskBank
from pruning.inference.pruned_model import load_pruned
from pruning.report.page import JSON_REPORT
from pruning.sources import Sources
from tests import toy_datasets
from tests.pruning.runs import finished, make_sources, run_toy, same_masks
from tests.toy_datasets import TOPICS, read_lines

TASK: dict[str, Any] = {"dataset": "topics", "text": ["text"], "label": "topics", "kind": "multilabel", "labels": list(TOPICS)}
LEARN: dict[str, Any] = {"max_steps": 120, "batch_size": 16, "dropout": 0.0, "learning_rate": 0.05, "validation_rows": None}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    rows = {"train": toy_datasets.topics(192, 1), "validation": toy_datasets.topics(64, 2)}
    toy_datasets.write_splits(root / "datasets" / "topics", rows)
    return make_sources(root)


@pytest.fixture(scope="module")
def learnt(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("learnt")
    events = run_toy(sources, work, task=TASK, **LEARN)
    assert events[-1].event == "finished"
    result = finished(events)
    assert result["primary_metric"] == "micro_f1"
    assert result["final"]["micro_f1"] >= 0.85
    assert result["final"]["micro_f1_best"] >= result["final"]["micro_f1"]
    return work / "artifacts"


def test_the_mask_predicts_as_the_run_did(sources: Sources, learnt: Path) -> None:
    pruned = load_pruned(learnt / "mask.safetensors", sources=sources)
    assert (pruned.info.kind, pruned.info.head, pruned.labels) == ("multilabel", "classifier", TOPICS)
    assert pruned.threshold == pruned.info.label_threshold == pruned.info.metrics["threshold"]
    assert evaluate_mask(pruned, sources) == pruned.info.metrics
    rows = toy_datasets.topics(64, 2)
    texts = [row["text"] for row in rows]
    written = read_lines(learnt / "predictions.jsonl")
    assert [row["label"] for row in written] == [row["ids"] for row in rows]
    assert pruned.predict(texts) == [row["prediction"] for row in written]
    shares = 1 / (1 + np.exp(-np.array([row["logits"] for row in written])))
    for found, row, expected in zip(pruned.predictions(texts), shares, written, strict=True):
        assert found.probabilities is not None
        assert list(found.probabilities.values()) == pytest.approx(list(row), abs=1e-6)
        assert found.labels == [TOPICS[number] for number in expected["prediction"]]
        assert found.label is None
    assert pruned.predictions([]) == []


def test_a_bank_gives_the_same_labels(sources: Sources, learnt: Path) -> None:
    texts = [row["text"] for row in toy_datasets.topics(8, 3)]
    assert sources.models_dir is not None
    bank = MaskBank(sources.models_dir / "bert")
    bank.add("topics", learnt / "mask.safetensors")
    pruned = load_pruned(learnt / "mask.safetensors", sources=sources)
    assert bank.predictions("topics", texts) == pruned.predictions(texts)


def test_the_report_has_every_label(learnt: Path) -> None:
    (scores,) = json.loads((learnt / JSON_REPORT).read_text())["scores"]
    rows = toy_datasets.topics(64, 2)
    assert [(label["name"], label["rows"]) for label in scores["labels"]] == [
        (name, sum(row[name] for row in rows)) for name in TOPICS
    ]
    assert np.mean([label["f1"] for label in scores["labels"]]) == pytest.approx(scores["metrics"]["macro_f1_best"])
    assert "F1 of each label" in (learnt / "report.html").read_text()


def test_names_ids_and_columns_are_one_task(sources: Sources, tmp_path: Path) -> None:
    columns = {"label_columns": list(TOPICS), "labels": None}
    for name, changes in (("names", {}), ("ids", {"label": "ids"}), ("columns", columns)):
        run_toy(sources, tmp_path / name, task={**TASK, **changes}, max_steps=6)
    assert same_masks(tmp_path / "names", tmp_path / "ids")
    assert same_masks(tmp_path / "names", tmp_path / "columns")


def test_exports_give_the_same_probabilities(sources: Sources, learnt: Path, tmp_path: Path) -> None:
    entries = run_exports(learnt / "mask.safetensors", ["compact", "stock"], tmp_path, sources=sources)
    assert [(entry.format, entry.equal) for entry in entries] == [("compact", 1.0), ("stock", 1.0)]
    texts = [row["text"] for row in toy_datasets.topics(8, 3)]
    expected = load_pruned(learnt / "mask.safetensors", sources=sources).predictions(texts)
    classify: Any = pipeline("text-classification", model=str(tmp_path / "stock"), device="cpu")
    for found, rows in zip(expected, classify(texts, top_k=None), strict=True):
        assert found.probabilities is not None
        assert {row["label"]: row["score"] for row in rows} == pytest.approx(found.probabilities, abs=1e-5)
    assert "probability of its own" in (tmp_path / "stock" / "README.md").read_text()


@pytest.mark.parametrize(
    ("value", "row"),
    [("praise", "'praise'"), (["praise", "dusk"], "'dusk'"), ([3], "3"), ([True], "True"), ([None], "None"), (None, "None")],
)
def test_a_row_that_is_wrong_is_named(sources: Sources, tmp_path: Path, value: Any, row: str) -> None:
    rows = toy_datasets.topics(5, 1)
    rows[2]["topics"] = value
    folder = tmp_path / "datasets" / "topics"
    toy_datasets.write_splits(folder, {"train": rows, "validation": toy_datasets.topics(5, 2)})
    with pytest.raises(PermanentError) as caught:
        run_toy(Sources(sources.models_dir, tmp_path / "datasets", hub=False), tmp_path / "work", task=TASK)
    assert caught.value.code == "labels_mismatch"
    assert "row 3 " in caught.value.message
    assert row in caught.value.message
