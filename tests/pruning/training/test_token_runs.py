"""Token classification runs: tags are found and learnt, words that are cut off count as missed, masks and exports tag alike."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import pipeline

from pruning.data.holdout import held_out_rows
from pruning.data.iob import entities, entity_scores, total_score
from pruning.errors import PermanentError
from pruning.export.run import run_exports
from pruning.formats import mask_file
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.mask_bank import MaskBank
from pruning.inference.pruned_model import load_pruned
from pruning.report.page import JSON_REPORT
from pruning.sources import Sources
from tests import toy_datasets, toy_models
from tests.pruning.runs import finished, make_sources, of_kind, run_toy, same_masks
from tests.toy_datasets import read_lines
from tests.toy_tagged import TAGS, tagged

TASK: dict[str, Any] = {"dataset": "tagged", "text": ["words"], "label": "tags", "kind": "token-classification"}
LEARN: dict[str, Any] = {"max_steps": 100, "batch_size": 16, "dropout": 0.0, "learning_rate": 0.05, "validation_rows": None}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    rows = {"train": tagged(160, 1), "validation": tagged(48, 2)}
    toy_datasets.write_splits(root / "datasets" / "tagged", rows)
    return make_sources(root)


@pytest.fixture(scope="module")
def learnt(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("learnt")
    events = run_toy(sources, work, task=TASK, **LEARN)
    result = finished(events)
    assert result["primary_metric"] == "f1"
    assert list(result["final"]) == ["f1", "precision", "recall", "token_accuracy", "words_cut"]
    assert result["final"]["f1"] >= 0.8
    assert result["final"]["words_cut"] == 0
    return work / "artifacts"


def test_the_mask_tags_as_the_run_did(sources: Sources, learnt: Path) -> None:
    pruned = load_pruned(learnt / "mask.safetensors", sources=sources)
    assert (pruned.info.kind, pruned.info.head, pruned.labels) == ("token-classification", "token-classifier", TAGS)
    assert evaluate_mask(pruned, sources) == pruned.info.metrics
    rows = tagged(48, 2)
    written = read_lines(learnt / "predictions.jsonl")
    assert [row["label"] for row in written] == [row["tags"] for row in rows]
    words = [row["words"] for row in rows]
    assert pruned.predict(words) == [row["prediction"] for row in written]
    assert pruned.predict([" ".join(row) for row in words]) == pruned.predict(words)
    score = total_score(entity_scores([row["tags"] for row in rows], pruned.predict(words)).values())
    assert score.f1 == pruned.info.metrics["f1"]
    for found, row in zip(pruned.predictions(words), words, strict=True):
        assert found.words == row
        assert found.entities == [
            {"type": one.type, "start": one.start, "end": one.end, "text": " ".join(row[one.start : one.end])}
            for one in entities(found.value)
        ]
    without: list[Any] = [["", "good"], [["good", " "]], [[]]]
    for nothing in without:
        with pytest.raises(ValueError, match="no words"):
            pruned.predict(nothing)


def test_a_bank_tags_alike(sources: Sources, learnt: Path) -> None:
    words = [row["words"] for row in tagged(8, 3)]
    assert sources.models_dir is not None
    bank = MaskBank(sources.models_dir / "bert")
    bank.add("tagged", learnt / "mask.safetensors")
    assert bank.predictions("tagged", words) == load_pruned(learnt / "mask.safetensors", sources=sources).predictions(words)


def test_the_report_has_every_type(learnt: Path) -> None:
    (scores,) = json.loads((learnt / JSON_REPORT).read_text())["scores"]
    assert [kind["name"] for kind in scores["entities"]] == ["JOY", "WOE"]
    assert "F1 of each type of entity" in (learnt / "report.html").read_text()


def test_found_tags_named_tags_and_ids_are_one_task(sources: Sources, tmp_path: Path) -> None:
    for name, changes in (("found", {}), ("named", {"labels": TAGS}), ("ids", {"labels": TAGS, "label": "ids"})):
        run_toy(sources, tmp_path / name, task={**TASK, **changes}, max_steps=6)
    assert same_masks(tmp_path / "found", tmp_path / "named")
    assert same_masks(tmp_path / "found", tmp_path / "ids")


def test_words_that_are_cut_off_count_as_missed(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, task=TASK, max_steps=2, max_length=8, validation_rows=None)
    (warning,) = [
        one.message for one in of_kind(events, "log") if "words have no token" in one.message and "validation:" in one.message
    ]
    rows = tagged(48, 2)
    cut = sum(max(0, len(row["words"]) - 6) for row in rows)
    assert f"{cut} of {sum(len(row['words']) for row in rows)} words" in warning
    assert finished(events)["final"]["words_cut"] == cut > 0
    written = read_lines(tmp_path / "artifacts" / "predictions.jsonl")
    assert all(set(row["prediction"][6:]) <= {"O"} for row in written)
    right = sum(a == b for row in written for a, b in zip(row["label"][:6], row["prediction"], strict=False))
    total = sum(len(row["label"]) for row in written)
    assert finished(events)["final"]["token_accuracy"] == pytest.approx(right / total)


def test_exports_tag_alike(sources: Sources, learnt: Path, tmp_path: Path) -> None:
    entries = run_exports(learnt / "mask.safetensors", ["compact", "stock"], tmp_path, sources=sources)
    assert [(entry.format, entry.equal) for entry in entries] == [("compact", 1.0), ("stock", 1.0)]
    pruned = load_pruned(learnt / "mask.safetensors", sources=sources)
    words = tagged(1, 5)[0]["words"]
    tag: Any = pipeline("token-classification", model=str(tmp_path / "stock"), device="cpu", ignore_labels=[])
    found = {row["start"]: row["entity"] for row in tag(" ".join(words))}
    starts = [len(" ".join([*words[:number], ""])) for number in range(len(words))]
    assert [found[start] for start in starts] == pruned.predict([words])[0]
    assert 'pipeline("token-classification"' in (tmp_path / "stock" / "README.md").read_text()


@pytest.mark.parametrize(
    ("split", "tags", "words"),
    [("train", ["O", "I-JOY"], "row 2 .*'train'.*tag 2"), ("validation", ["O", "B-DUSK"], "row 2 .*'validation'.*tag 2")],
)
def test_a_tag_that_does_not_fit_is_named(sources: Sources, tmp_path: Path, split: str, tags: list[str], words: str) -> None:
    rows = {"train": tagged(6, 1), "validation": tagged(6, 2)}
    rows[split][1] |= {"words": ["a", "scene"], "tags": tags}
    toy_datasets.write_splits(tmp_path / "datasets" / "tagged", rows)
    with pytest.raises(PermanentError, match=words) as caught:
        run_toy(Sources(sources.models_dir, tmp_path / "datasets", hub=False), tmp_path / "work", task=TASK)
    assert (caught.value.code, caught.value.param) == ("labels_mismatch", "task.labels")


def test_a_tag_of_held_out_rows_alone_is_a_tag_of_the_task(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"words": ["Ada", "wrote"], "tags": ["B-PER", "O"]} for _ in range(20)]
    (rare,) = held_out_rows(20, None, 0.05)
    rows[rare]["tags"] = ["B-LOC", "O"]
    toy_models.make_model(tmp_path / "models" / "bert", "bert")
    toy_datasets.write_splits(tmp_path / "datasets" / "tagged", {"train": rows})
    sources = Sources(tmp_path / "models", tmp_path / "datasets", hub=False)
    run_toy(sources, tmp_path / "work", task=TASK, max_steps=2, batch_size=4, validation_share=0.05)
    _, info = mask_file.read(tmp_path / "work" / "artifacts" / "mask.safetensors")
    assert info.label_words == ("O", "B-LOC", "B-PER")
