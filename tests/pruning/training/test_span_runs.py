"""Runs on questions, from rows to answers: on toys of every architecture, and the rows of real questions."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from pruning.data.answers import check_answer
from pruning.data.squad import compute_metrics, encode_windows, extract_answers, normalize_answer, target_positions
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from pruning.training.setup import set_up
from tests import toy_architectures, toy_models
from tests.pruning.runs import finished, make_sources, run_toy, spec_of
from tests.real_data import real_data
from tests.toy_datasets import make_span_dataset, read_lines, span_rows

SPAN: dict[str, Any] = {"task": "squad", "max_length": 40, "stride": 8, "batch_size": 8, "validation_rows": None}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    make_span_dataset(root / "datasets" / "squad", train=128)
    for shape in (*toy_architectures.ENCODERS, *toy_architectures.DECODERS):
        if shape not in toy_models.SHAPES:
            toy_architectures.make_model(root / "models" / shape, shape)
    return sources


@pytest.mark.parametrize("shape", [*toy_architectures.ENCODERS, *toy_architectures.DECODERS])
def test_a_span_run_answers_with_text_of_the_context_and_again_from_its_mask(sources: Sources, tmp_path: Path, shape: str) -> None:
    events = run_toy(sources, tmp_path, model=shape, max_steps=3, **SPAN)
    rows, predictions = span_rows(24, 2), read_lines(tmp_path / "artifacts" / "predictions.jsonl")
    assert [row["row"] for row in predictions] == list(range(24))
    assert [row["label"] for row in predictions] == [row["answers"] for row in rows]
    assert all(row["prediction"] in question["context"] for row, question in zip(predictions, rows, strict=True))
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    again = pruned.predict([row["question"] for row in rows], [row["context"] for row in rows])
    assert again == [row["prediction"] for row in predictions]
    final = finished(events)["final"]
    assert final == compute_metrics(again, [row["answers"]["text"] for row in rows])
    assert evaluate_mask(pruned, sources) == final == pruned.info.metrics
    assert (pruned.info.kind, pruned.info.head, pruned.info.label_words) == ("span", "span", ("Yes", "No"))


def test_a_span_run_learns(sources: Sources, tmp_path: Path) -> None:
    fields = {**SPAN, "max_steps": 150, "batch_size": 16, "dropout": 0.0, "method": "smp-l", "learning_rate": 5e-2}
    result = finished(run_toy(sources, tmp_path, **fields))
    assert result["primary_metric"] == "f1"
    assert result["final"]["f1"] > result["before"]["f1"] + 0.2
    assert result["final"]["exact_match"] <= result["final"]["f1"]


def test_each_window_is_trained_on_its_own_targets(sources: Sources) -> None:
    run = set_up(spec_of(**SPAN), sources, lambda event: None)
    rows = span_rows(128, 1)
    assert run.train.windows is not None
    assert len(run.train) > len(rows)
    whole: set[int] = set()
    for window, row in enumerate(run.train.windows.question):
        start, end = run.train.labels[window].tolist()
        if start == 0:
            continue
        offsets = run.train.windows.offsets[window]
        first, last = offsets[start], offsets[end]
        assert first is not None
        assert last is not None
        assert rows[row]["context"][first[0] : last[1]] == rows[row]["answers"]["text"][0]
        whole.add(row)
    assert whole == set(range(len(rows)))
    batch = run.batch(0, 0)
    assert batch["labels"].shape == (8, 2)
    assert run.head(**{k: v for k, v in batch.items() if k != "labels"}).shape == (*batch["input_ids"].shape, 2)


@pytest.mark.parametrize(("name", "every"), [("bert-base-uncased", 20), ("roberta-base", 40)])
@pytest.mark.parametrize("split", ["squad/validation", "squad_shifts/train"])
def test_every_gold_answer_of_real_questions_is_found_from_its_target_tokens(name: str, every: int, split: str) -> None:
    folder = real_data("tokenizers", name)
    with gzip.open(real_data(f"{split}.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for i, line in enumerate(lines) if i % every == 0]
    answers = [row["answers"] for row in rows]
    for answer, row in zip(answers, rows, strict=True):
        check_answer(answer, row["context"], "a real row")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    _, windows = encode_windows(tokenizer, [r["question"] for r in rows], [r["context"] for r in rows], 384, 128)
    targets = target_positions(windows, answers)
    found: dict[int, bool] = {}
    for i, (row, (start, end)) in enumerate(zip(windows.question, targets.tolist(), strict=True)):
        if (start, end) == (0, 0):
            continue
        first, last = windows.offsets[i][start], windows.offsets[i][end]
        assert first is not None
        assert last is not None
        text, begin = answers[row]["text"][0], answers[row]["answer_start"][0]
        assert first[0] <= begin < first[1]  # no token too many, none too few
        assert last[0] < begin + len(text) <= last[1]
        shown = rows[row]["context"][first[0] : last[1]]
        assert text in shown
        found[row] = normalize_answer(shown) == normalize_answer(text)
    assert sorted(found) == list(range(len(rows)))
    assert sum(found.values()) > 0.98 * len(rows)  # the rest begin or end inside a word


def test_targets_as_logits_give_the_gold_answers_of_real_questions() -> None:
    folder = real_data("tokenizers", "bert-base-uncased")
    with gzip.open(real_data("squad", "validation.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for i, line in enumerate(lines) if i % 40 == 0]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    contexts = [row["context"] for row in rows]
    tokens, windows = encode_windows(tokenizer, [row["question"] for row in rows], contexts, 384, 128)
    targets = target_positions(windows, [row["answers"] for row in rows])
    perfect = []
    for ids, (start, end) in zip(tokens["input_ids"], targets.tolist(), strict=True):
        values = torch.zeros(len(ids), 2)
        values[start, 0] += 5 * (start > 0)
        values[end, 1] += 5 * (start > 0)
        perfect.append(values.numpy())
    found = compute_metrics(extract_answers(perfect, windows, contexts, len(rows)), [row["answers"]["text"] for row in rows])
    assert found["exact_match"] > 0.97  # answers of more than 30 tokens, and those inside words, are out of reach
    assert found["f1"] > 0.98
