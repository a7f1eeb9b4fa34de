"""Every method on every architecture, a few steps each: what is stored, put on fresh weights, gives the same logits."""

from pathlib import Path
from typing import Any

import pytest

from pruning.formats import mask_file
from pruning.inference.pruned_model import load_pruned
from pruning.sources import Sources
from pruning.spec.methods import METHODS
from tests import toy_architectures, toy_datasets, toy_models
from tests.pruning.runs import finished, run_toy
from tests.toy_datasets import read_lines

pytestmark = pytest.mark.slow

FEW: dict[str, Any] = {"train_rows": 24, "validation_rows": 12, "sparsity": 0.7, "weight_learning_rate": 1e-3}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("architectures")
    for shape in toy_architectures.ALL:
        toy_architectures.make_model(root / "models" / shape, shape)
    toy_datasets.make_opinions(root / "datasets" / "sst2", train=24, validation=12)
    return Sources(root / "models", root / "datasets", hub=False)


def cases() -> list[Any]:
    """Every pair; those that are ``exhaustive`` differ from others in nothing that a method sees.

    A method sees matrices, an architecture sees masked matrices. Three methods are enough for each architecture, and seven
    architectures for each method; BERT has all.
    """
    found = []
    for number, shape in enumerate(toy_architectures.ALL):
        for other, method in enumerate(METHODS):
            chosen = shape == "bert" or (number + other) % 3 == 0
            found.append(pytest.param(shape, method, marks=() if chosen else pytest.mark.exhaustive))
    return found


@pytest.mark.parametrize(("shape", "method"), cases())
def test_a_run_and_its_result_on_fresh_weights_give_the_same_logits(
    sources: Sources, tmp_path: Path, shape: str, method: str
) -> None:
    info = METHODS[method]
    head = "classifier" if shape == toy_architectures.HEADLESS else "label-words"
    steps = None if info.trains == "nothing" else 3
    rate: dict[str, Any] = {"learning_rate": 1.0} if info.sparsity == "emerges" else {}
    events = run_toy(sources, tmp_path, model=shape, method=method, head=head, max_steps=steps, **FEW, **rate)
    metrics = finished(events)
    assert metrics["weights_changed"] == (info.trains_weights or head == "classifier")
    if info.sparsity == "asked":
        assert metrics["remaining"] == pytest.approx(0.3, abs=0.04)  # wanda rounds every row: 4 of 16
    pruned = load_pruned(tmp_path / "artifacts" / "mask.safetensors", sources=sources)
    expected = [row["logits"] for row in read_lines(tmp_path / "artifacts" / "predictions.jsonl")]
    assert pruned.logits([row["sentence"] for row in toy_datasets.opinions(12, 2)]).tolist() == expected


@pytest.mark.parametrize("shape", ["gpt2", "gpt_neox", "mobilebert"])
def test_two_of_four_neighbours_are_inputs_of_one_output(sources: Sources, tmp_path: Path, shape: str) -> None:
    run_toy(sources, tmp_path, model=shape, max_steps=2, **{**FEW, "sparsity": 0.5}, pattern="2:4")
    masks, info = mask_file.read(tmp_path / "artifacts" / "mask.safetensors")
    up = {"gpt2": "transformer.h.0.mlp.c_fc", "gpt_neox": "gpt_neox.layers.0.mlp.dense_h_to_4h"}.get(shape)
    if up is not None:
        assert info.shapes[up] == (toy_models.INTERMEDIATE, toy_models.HIDDEN)  # [out, in], however the file stores it
    assert all((mask.reshape(len(mask), -1, 4).sum(axis=2) == 2).all() for mask in masks.values())
