"""Tasks with class names and no label words: 77 names of several words, as intents have them, from the spec to predictions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pruning.inference.evaluation import evaluate_mask
from pruning.inference.model_cache import MAX_PROBABILITIES, ModelCache
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from tests import toy_datasets, toy_models
from tests.pruning.runs import finished, make_sources, run_toy
from tests.toy_datasets import read_lines

_LEFT, _RIGHT = toy_models.FILLERS[:7], (*toy_models.GOOD, *toy_models.BAD)[:11]
INTENTS = {f"why_{left}_{right}_charged": (left, right) for left in _LEFT for right in _RIGHT}
"""Name → the two words by which its rows are distinguished. All names share their first and last word, as many of BANKING77 do."""
TASK: dict[str, Any] = {"dataset": "org/intents", "text": ["query"], "label": "intent", "labels": list(INTENTS)}
FIELDS: dict[str, Any] = {"task": TASK, "head": "classifier", "validation_rows": None}


def rows(repeats: int, seed: int) -> list[dict[str, Any]]:
    """Every intent ``repeats`` times, its two words among others."""
    source = np.random.default_rng(seed)
    found = [
        {"query": " ".join([left, *source.choice(toy_models.FILLERS[7:], 2), right]), "intent": name}
        for name, (left, right) in INTENTS.items()
        for _ in range(repeats)
    ]
    source.shuffle(found)
    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("intents")
    made = make_sources(root)
    splits = {"train": rows(4, 1), "validation": rows(1, 2)}
    toy_datasets.write_splits(root / "datasets" / "org" / "intents", splits)
    return made


def test_seventy_seven_names_are_learnt_and_predicted(sources: Sources, tmp_path: Path) -> None:
    assert len(INTENTS) == 77
    learnt: dict[str, Any] = {
        "max_steps": 150,
        "batch_size": 64,
        "dropout": 0.0,
        "weight_learning_rate": 0.03,
        "train_biases": True,
    }
    result = finished(run_toy(sources, tmp_path, **FIELDS, **learnt))
    assert result["final"]["accuracy"] > 5 / 77
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    assert (pruned.info.label_words, pruned.info.label_ids, pruned.info.classes) == ((), (), 77)
    assert pruned.labels == tuple(INTENTS)
    predictions = read_lines(tmp_path / "artifacts" / "predictions.jsonl")
    texts = [row["query"] for row in rows(1, 2)]
    assert pruned.predict(texts) == [row["prediction"] for row in predictions]
    assert evaluate_mask(pruned, sources)["accuracy"] == pytest.approx(result["final"]["accuracy"])
    report = json.loads((tmp_path / "artifacts" / "report.json").read_text("utf-8"))
    assert report["task"]["labels"] == report["scores"][0]["confusion"]["labels"] == list(INTENTS)


def test_many_classes_answer_with_their_most_probable_ones(sources: Sources, tmp_path: Path) -> None:
    names = [*INTENTS, *(f"intent number {number} of many" for number in range(923))]
    run_toy(sources, tmp_path, **FIELDS | {"task": TASK | {"labels": names}, "method": "random", "max_steps": None})
    mask = tmp_path / "artifacts" / "mask.safetensors"
    cache = ModelCache(sources, masks=1)
    answer = cache.respond({"key": "k", "mask": str(mask), "weights": None, "texts": ["a b"], "pairs": None})["predictions"][0]
    expected = load_pruned(mask, sources=sources).predictions(["a b"])[0]
    assert expected.probabilities is not None
    assert len(expected.probabilities) == 1000
    largest = sorted(expected.probabilities.values(), reverse=True)[:MAX_PROBABILITIES]
    assert [*answer["probabilities"].values()] == largest
    assert next(iter(answer["probabilities"])) == answer["label"] == expected.label
