"""The tasks of the paper: defaults as published, label words and metrics on real rows, MNLI's two validation splits."""

import gzip
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM

from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS
from tests import toy_datasets
from tests.pruning.runs import finished, make_sources, run_toy
from tests.real_data import ROOT, real_data
from tests.toy_datasets import read_lines

GOLDEN = Path(os.environ.get("GOLDEN_DIR", ROOT.parent / "shared" / "golden"))
MNLI_ORDER = {"entailment": 1, "neutral": 2, "contradiction": 0}
"""The reference renumbers MNLI's classes before it looks up the words."""
LABELS = {"sst2": {0, 1}, "mrpc": {0, 1}, "cola": {0, 1}, "rte": {0, 1}, "mnli": {0, 1, 2}}
SHORT: dict[str, Any] = {
    "model": "bert-base-uncased",
    "max_steps": 3,
    "batch_size": 8,
    "max_length": 64,
    "train_rows": 48,
    "validation_rows": 60,
}


def published() -> dict[str, tuple[list[str], int, int]]:
    """Label words by class id, batch size and epochs of each task, from the table of the reference's description."""
    readme = GOLDEN / "README.md"
    if not readme.is_file():
        pytest.skip(f"no README.md under {GOLDEN}; set GOLDEN_DIR")
    found = {}
    for line in readme.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and (cells[0] in TASKS) and "," in cells[2]:
            words = re.findall(r"(?:\d|start|end) ([A-Z][a-z]+|terrible|great|incorrect|correct)", cells[1])
            batch, epochs = re.findall(r"\d+", cells[2])[:2]
            found[cells[0]] = (words, int(batch), int(epochs))
    return found


def test_defaults_are_the_published_ones() -> None:
    table = published()
    assert set(table) == set(TASKS) - {"squad_v2"}  # which the reference does not have
    for name, (words, batch, epochs) in table.items():
        spec = PruningSpec.model_validate({"model": "m", "task": name, "preset": "upstream"})
        if name == "mnli":
            words = [words[MNLI_ORDER[label]] for label in TASKS["mnli"].labels or ()]
        assert (list(spec.label_words), spec.batch_size, spec.epochs) == (words, batch, epochs), name
        assert (spec.learning_rate, spec.regularization, spec.max_grad_norm) == (2e-2, 400, 1.0)


def test_outside_the_preset_only_the_words_of_mnli_and_the_epochs_of_rte_differ() -> None:
    for name, (words, batch, epochs) in published().items():
        spec = PruningSpec.model_validate({"model": "m", "task": name})
        assert (spec.batch_size, spec.epochs) == (batch, 60 if name == "rte" else epochs)
        assert list(spec.label_words) == words  # MNLI: entailment Yes, neutral Maybe, contradiction No


def test_lengths_and_strides_are_the_published_ones() -> None:
    for name in TASKS:
        spec = PruningSpec.model_validate({"model": "m", "task": name})
        assert spec.max_length == (384 if name.startswith("squad") else 128)
        assert spec.stride == 128


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Real rows, and a random BERT with the real vocabulary; SNLI stands in for MNLI, SQuADShifts for SQuAD's training."""
    root = tmp_path_factory.mktemp("real")
    model, datasets = root / "models" / "bert-base-uncased", root / "datasets"
    tokens = real_data("tokenizers", "bert-base-uncased")
    model.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForMaskedLM(
            BertConfig(
                vocab_size=30522,
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=24,
                initializer_range=0.3,
            )
        ).save_pretrained(model)
    for file in tokens.iterdir():
        shutil.copyfile(file, model / file.name)
    for name in ("sst2", "mrpc", "cola", "rte", "stsb"):
        link(real_data("glue", name), datasets / name)
    (datasets / "squad").mkdir()
    link(real_data("squad", "validation.jsonl.gz"), datasets / "squad" / "validation.jsonl.gz")
    link(real_data("squad_shifts", "train.jsonl.gz"), datasets / "squad" / "train.jsonl.gz")
    with gzip.open(real_data("nli", "snli", "validation.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for _, line in zip(range(200), lines, strict=False)]
    splits = {"train": rows[:64], "validation_matched": rows[64:120], "validation_mismatched": rows[120:200]}
    toy_datasets.write_splits(datasets / "mnli", splits)
    return Sources(root / "models", datasets, hub=False)


def link(target: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(target.resolve(), target_is_directory=target.is_dir())


def scores_by_hand(task: str, labels: list[Any], predictions: list[Any]) -> dict[str, float]:
    """GLUE's metrics straight from scikit-learn and SciPy."""
    y, p = np.array(labels), np.array(predictions)
    return {
        "accuracy": lambda: {"accuracy": (y == p).mean()},
        "accuracy and f1": lambda: {"accuracy": (y == p).mean(), "f1": metrics.f1_score(y, p)},
        "matthews": lambda: {"matthews": metrics.matthews_corrcoef(y, p), "accuracy": (y == p).mean()},
        "correlations": lambda: {"pearson": stats.pearsonr(y, p)[0], "spearman": stats.spearmanr(y, p)[0]},
    }[{"mrpc": "accuracy and f1", "cola": "matthews", "stsb": "correlations"}.get(task, "accuracy")]()


@pytest.mark.parametrize("task", ["sst2", "mrpc", "cola", "rte", "stsb"])
def test_real_rows_of_glue_are_trained_on_and_scored(sources: Sources, tmp_path: Path, task: str) -> None:
    result = finished(run_toy(sources, tmp_path, task=task, **SHORT))
    rows = read_lines(tmp_path / "artifacts" / "predictions.jsonl")
    assert sources.datasets_dir is not None
    with gzip.open(sources.datasets_dir / task / "validation.jsonl.gz", "rt", encoding="utf-8") as lines:
        given = [json.loads(line) for _, line in zip(range(60), lines, strict=False)]
    assert [row["label"] for row in rows] == [row["label"] for row in given]
    predictions = [row["prediction"] for row in rows]
    if task == "stsb":
        assert all(isinstance(number, float) for number in predictions)
        assert [row["logits"] for row in rows] == [[number] for number in predictions]
    else:
        assert set(predictions) <= LABELS[task]
        assert all(len(row["logits"]) == len(TASKS[task].label_words) for row in rows)
    expected = scores_by_hand(task, [row["label"] for row in rows], predictions)
    assert set(result["final"]) == set(TASKS[task].metrics) == set(expected)
    for name, value in expected.items():
        assert result["final"][name] == pytest.approx(value, abs=1e-6)  # correlations are of float32
    assert result["primary_metric"] == TASKS[task].metrics[0]
    texts = [[row[column] for row in given] for column in TASKS[task].text]
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    assert pruned.predict(*texts) == predictions


def test_the_label_words_of_every_task_are_single_tokens_of_bert_and_roberta() -> None:
    for name in ("bert-base-uncased", "roberta-base"):
        tokenizer = AutoTokenizer.from_pretrained(real_data("tokenizers", name))
        for task in TASKS.values():
            ids = [tokenizer.encode(f" {word}", add_special_tokens=False) for word in task.label_words]
            assert [len(found) for found in ids] == [1] * len(ids)
            assert len({found[0] for found in ids}) == len(ids)
            assert all(found[0] != tokenizer.unk_token_id for found in ids)


def require_both_splits(sources: Sources, work: Path, **fields: Any) -> None:
    """``accuracy`` and ``accuracy_mismatched`` are those of predictions made again on each split."""
    events = run_toy(sources, work, task="mnli", **fields)
    result = finished(events)
    pruned = load_pruned(work / "artifacts" / "mask.safetensors", sources=sources)
    assert sources.datasets_dir is not None
    expected = {}
    for split, name in (("matched", "accuracy"), ("mismatched", "accuracy_mismatched")):
        rows = read_lines(sources.datasets_dir / "mnli" / f"validation_{split}.jsonl")[: fields["validation_rows"]]
        found = pruned.predict([row["premise"] for row in rows], [row["hypothesis"] for row in rows])
        expected[name] = sum(p == row["label"] for p, row in zip(found, rows, strict=True)) / len(rows)
        if split == "matched":
            predictions = read_lines(work / "artifacts" / "predictions.jsonl")
            assert [row["prediction"] for row in predictions] == found
    assert result["final"] == expected == pruned.info.metrics == evaluate_mask(pruned, sources)
    assert expected["accuracy"] != expected["accuracy_mismatched"]
    assert set(result["before"]) == set(expected)


def test_mnli_reports_matched_and_mismatched_rows_apart(sources: Sources, tmp_path: Path) -> None:
    require_both_splits(sources, tmp_path, **SHORT)


def test_mnli_reports_matched_and_mismatched_rows_of_a_toy_apart(tmp_path: Path) -> None:
    toy = make_sources(tmp_path / "toys")
    rows = [
        {"premise": row["sentence"], "hypothesis": ("great", "terrible", "end")[i % 3], "label": i % 3}
        for i, row in enumerate(toy_datasets.opinions(130, 3))
    ]
    turned = [{**row, "label": (row["label"] + 1) % 3} for row in rows[91:]]
    splits = {"train": rows[:60], "validation_matched": rows[60:91], "validation_mismatched": turned}
    assert toy.datasets_dir is not None
    toy_datasets.write_splits(toy.datasets_dir / "mnli", splits)
    require_both_splits(toy, tmp_path / "work", validation_rows=None, max_steps=40)


def test_evaluations_during_training_use_the_matched_rows_alone(sources: Sources, tmp_path: Path) -> None:
    events = run_toy(sources, tmp_path, task="mnli", **{**SHORT, "eval_every": 1})
    during = [event for event in events if event.event == "evaluation" and event.stage == "during"]
    assert [set(event.metrics) for event in during] == [{"accuracy"}] * 2


def test_real_questions_are_trained_on_and_scored(sources: Sources, tmp_path: Path) -> None:
    fields = {**SHORT, "max_length": 160, "stride": 48, "validation_rows": 24, "train_rows": 24}
    result = finished(run_toy(sources, tmp_path, task="squad", **fields))
    assert set(result["final"]) == {"f1", "exact_match"}
    assert 0 <= result["final"]["exact_match"] <= result["final"]["f1"] <= 1
    assert len(read_lines(tmp_path / "artifacts" / "predictions.jsonl")) == 24
