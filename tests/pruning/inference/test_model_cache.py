"""Masks in the memory of the prediction program, and a response to every request."""

import json
from pathlib import Path
from typing import Any

import pytest

from pruning.inference.mask_bank import MaskBank
from pruning.inference.model_cache import MAX_BASES, ModelCache
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from tests import toy_datasets, toy_models
from tests.pruning.runs import make_sources, run_toy

TEXTS = [row["sentence"] for row in toy_datasets.opinions(3, 5)]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return make_sources(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def masks(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for shape in toy_models.SHAPES[: MAX_BASES + 1]:
        run_toy(sources, folder / shape, model=shape, max_steps=2, validation_rows=4)
    run_toy(sources, folder / "other", max_steps=2, validation_rows=4, seed=5)
    return {work.name: work / "artifacts" / "mask.safetensors" for work in folder.iterdir() if work.is_dir()}


def ask(cache: ModelCache, key: str, mask: Path, **more: Any) -> dict[str, Any]:
    return cache.respond({"key": key, "mask": str(mask), "weights": None, "texts": TEXTS, "pairs": None, **more})


@pytest.mark.slow
def test_answers_are_those_of_the_mask(sources: Sources, masks: dict[str, Path]) -> None:
    expected = load_pruned(masks["bert"], sources=sources).predictions(TEXTS)
    answer = json.loads(json.dumps(ask(ModelCache(sources, 4), "a", masks["bert"])))
    assert [row["label"] for row in answer["predictions"]] == [prediction.label for prediction in expected]
    assert [row["probabilities"] for row in answer["predictions"]] == [found.probabilities for found in expected]


def test_bases_are_shared_and_the_oldest_make_room(
    sources: Sources, masks: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[str] = []
    real = MaskBank.add

    def add(bank: MaskBank, name: str, *given: Any, **more: Any) -> None:
        added.append(name)
        real(bank, name, *given, **more)

    monkeypatch.setattr(MaskBank, "add", add)
    cache = ModelCache(sources, 2)
    for key in ("bert", "other", "bert", "other"):
        assert "predictions" in ask(cache, key, masks[key])
    assert (added, len(cache._banks)) == (["bert", "other"], 1)
    ask(cache, "roberta", masks["roberta"])  # a third mask: the one used longest ago leaves
    ask(cache, "other", masks["other"])
    ask(cache, "bert", masks["bert"])
    assert added == ["bert", "other", "roberta", "bert"]
    ask(cache, "distilbert", masks["distilbert"])  # a third base: the bank used longest ago leaves
    assert len(cache._banks) == MAX_BASES


def test_faults_are_answers(sources: Sources, masks: dict[str, Path], tmp_path: Path) -> None:
    cache = ModelCache(sources, 2)
    assert ask(cache, "a", tmp_path / "none")["error"]["code"] == "mask_invalid"
    assert ask(ModelCache(Sources(tmp_path, None, hub=False), 2), "a", masks["bert"])["error"]["code"] == "model_not_found"
    pairs = ask(cache, "a", masks["bert"], pairs=TEXTS)["error"]
    assert (pairs["kind"], pairs["code"]) == ("permanent", "prediction_failed")
    assert "predictions" in ask(cache, "a", masks["bert"])
