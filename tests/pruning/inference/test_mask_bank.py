"""Mask bank: many masks on one base predict as each alone, to the last bit, in any order and from many threads."""

import itertools
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from espalier import MaskBank
from pruning.errors import PermanentError
from pruning.formats import mask_file
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from tests import toy_architectures, toy_datasets, toy_models
from tests.pruning.runs import make_sources, run_toy
from tests.toy_datasets import make_span_dataset, span_rows

TEXTS = [row["sentence"] for row in toy_datasets.opinions(4, 5)]
OTHERS = [row["sentence2"] for row in toy_datasets.ratings(4, 5)]
SHAPES = ("bert", "distilbert", "roberta", "modernbert", "llama")
RUNS: dict[str, dict[str, Any]] = {
    "sst2": {"sparsity": 0.7},
    "words": {"sparsity": 0.5, "label_words": ["Yes", "No"], "seed": 3},
    "stsb": {"task": "stsb", "sparsity": 0.6},
    "squad": {"task": "squad", "max_length": 40, "stride": 8, "validation_rows": 8, "train_readout": True},
    "biases": {"train_biases": True},
    "readout": {"task": "stsb", "train_biases": True, "train_readout": True},
    "movement": {"method": "movement"},
}
"""Of BERT: tasks of every kind, and methods that train more than masks."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder = tmp_path_factory.mktemp("toys")
    made = make_sources(folder)
    make_span_dataset(folder / "datasets" / "squad")
    for shape in SHAPES:
        if shape not in toy_models.SHAPES:
            toy_architectures.make_model(folder / "models" / shape, shape)
    return made


@pytest.fixture(scope="module")
def masks(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for name, fields in RUNS.items():
        run_toy(sources, folder / name, **{"max_steps": 2, "validation_rows": 8, **fields})
    return {name: folder / name / "artifacts" / "mask.safetensors" for name in RUNS}


def bank_of(sources: Sources, masks: dict[str, Path], base: str = "bert") -> MaskBank:
    bank = MaskBank(base, models_dir=sources.models_dir)
    for name, mask in masks.items():
        bank.add(name, mask)
    return bank


def question(name: str) -> tuple[list[str], list[str] | None]:
    rows = span_rows(4, 9)
    if name == "squad":
        return [row["question"] for row in rows], [row["context"] for row in rows]
    return TEXTS, OTHERS if name in ("stsb", "readout") else None


@pytest.mark.slow
def test_every_switch_gives_what_the_mask_alone_gives(sources: Sources, masks: dict[str, Path]) -> None:
    bank = bank_of(sources, masks)
    alone = {name: load_pruned(mask, sources=sources) for name, mask in masks.items()}
    logits = {name: alone[name].logits(*question(name)) for name in masks if name != "squad"}
    answers = {"squad": alone["squad"].predict(*question("squad"))}
    for before, name in itertools.permutations(masks, 2):
        with bank.using(before):
            pass
        if name in logits:
            with bank.using(name) as pruned:
                np.testing.assert_array_equal(pruned.logits(*question(name)), logits[name])
        else:
            assert bank.predict(name, *question(name)) == answers[name]
    assert bank.predictions("sst2", TEXTS) == alone["sst2"].predictions(TEXTS)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_heads_are_changed_on_every_architecture(sources: Sources, tmp_path: Path, shape: str) -> None:
    runs: dict[str, dict[str, Any]] = {"a": {}, "b": {"label_words": ["Yes", "No"], "seed": 2}}
    made = {}
    for name, fields in runs.items():
        run_toy(sources, tmp_path / name, model=shape, max_steps=2, validation_rows=4, **fields)
        made[name] = tmp_path / name / "artifacts" / "mask.espalier"
    bank = bank_of(sources, made, shape)
    for name in ("a", "b", "a"):
        assert bank.predictions(name, TEXTS) == load_pruned(made[name], sources=sources).predictions(TEXTS)


def test_threads_take_turns(sources: Sources, masks: dict[str, Path]) -> None:
    bank = bank_of(sources, masks)
    expected = {name: bank.predict(name, *question(name)) for name in masks}
    wrong: list[str] = []

    def ask(names: list[str]) -> None:
        wrong.extend(name for name in names if bank.predict(name, *question(name)) != expected[name])

    orders = [[*masks], [*masks][::-1], [*masks][2:] * 2]
    threads = [threading.Thread(target=ask, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_mask_takes_one_bit_per_weight(sources: Sources, masks: dict[str, Path]) -> None:
    bank = bank_of(sources, {"sst2": masks["sst2"]})
    info = mask_file.read_info(masks["sst2"])
    assert bank.mask_bytes == sum(-(-rows * columns // 8) for rows, columns in info.shapes.values())
    assert bank.names == ("sst2",)


def test_a_mask_of_other_weights_is_refused_and_changes_nothing(sources: Sources, masks: dict[str, Path], tmp_path: Path) -> None:
    bank = bank_of(sources, {"sst2": masks["sst2"]})
    before = bank.predict("sst2", TEXTS)
    bits, info = mask_file.read(masks["sst2"])
    mask_file.write(tmp_path / "other.safetensors", bits, info.model_copy(update={"base_digest": "0" * 64}))
    with pytest.raises(PermanentError) as caught:
        bank.add("sst2", tmp_path / "other.safetensors")
    assert caught.value.code == "base_mismatch"
    assert bank.predict("sst2", TEXTS) == before


def test_a_classifier_needs_a_bank_of_its_own(sources: Sources, masks: dict[str, Path], tmp_path: Path) -> None:
    run_toy(sources, tmp_path, head="classifier", max_steps=2)
    mask = tmp_path / "artifacts" / "mask.safetensors"
    alone = bank_of(sources, {"new head": mask})
    rows = [json.loads(line)["prediction"] for line in (tmp_path / "artifacts/predictions.jsonl").read_text().splitlines()]
    assert alone.predict("new head", [row["sentence"] for row in toy_datasets.opinions(32, 2)]) == rows
    with pytest.raises(PermanentError) as refused:
        bank_of(sources, masks).add("new head", mask)
    assert refused.value.code == "base_mismatch"


def test_replaced_and_removed(sources: Sources, masks: dict[str, Path]) -> None:
    bank = bank_of(sources, {"a": masks["sst2"]})
    first = bank.predictions("a", TEXTS)
    bank.add("a", masks["words"])
    assert bank.predictions("a", TEXTS) == load_pruned(masks["words"], sources=sources).predictions(TEXTS) != first
    bank.remove("a")
    with pytest.raises(KeyError, match="'a'"):
        bank.predict("a", TEXTS)
