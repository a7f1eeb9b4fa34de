"""``weights.safetensors``: there only where more than masks changed, no larger than needed, and put back bit by bit."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pruning.errors import PermanentError
from pruning.formats import mask_file, trained_weights
from pruning.inference.evaluation import evaluate_mask
from pruning.inference.pruned_model import PrunedModel, load_pruned
from pruning.models.loading import load_model, locate_model, weights_digest
from pruning.sources import Sources
from pruning.spec.methods import METHODS
from tests import toy_architectures, toy_datasets
from tests.pruning.runs import finished, make_sources, run_toy

RATE: dict[str, Any] = {"weight_learning_rate": 1e-3, "max_steps": 6}
STATIC: list[dict[str, Any]] = [
    {"method": "smp-s"},
    {"method": "smp-l"},
    {"method": "smp-g"},
    {"prior": "wanda"},
    {"pattern": "2:4", "sparsity": 0.5},
    {"method": "wanda", "max_steps": None},
    {"method": "random", "max_steps": None},
    {"method": "magnitude", "one_shot": True, "max_steps": None},
]
CHANGING: list[dict[str, Any]] = [
    {"method": "movement", **RATE},
    {"method": "soft-movement", "learning_rate": 0.3, **RATE},
    {"method": "magnitude", **RATE},
    {"method": "l0", "learning_rate": 1.0, **RATE},
    {"train_biases": True, **RATE},
    {"method": "movement", "train_biases": True, **RATE},
    {"method": "magnitude", "pattern": "2:4", "sparsity": 0.5, **RATE},
    {"model": "minilm", "head": "classifier", **RATE},
    {"model": "minilm", "head": "classifier", "method": "movement", **RATE},
    {"model": "albert", "method": "movement", "train_biases": True, **RATE},
    {"model": "llama", "head": "classifier", "train_biases": True, **RATE},
    {"train_biases": True, "train_readout": True, **RATE},
    {"model": "albert", "train_readout": True, **RATE},
    {"model": "llama", "train_readout": True, **RATE},
    {"model": "minilm", "head": "classifier", "train_readout": True, **RATE},
    {"method": "movement", "train_readout": True, "calibrate_logits": False, **RATE},
]
ROWS = 45
MASK = "mask.safetensors"


def named(fields: dict[str, Any]) -> str:
    return "-".join(
        k if v is True else str(v)
        for k, v in fields.items()
        if v is not None and k not in (*RATE, "learning_rate", "sparsity", "calibrate_logits")
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    for shape in ("minilm", "albert", "llama"):
        toy_architectures.make_model(root / "models" / shape, shape)
    return sources


@pytest.fixture(scope="module")
def movement(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("movement")
    run_toy(sources, work, method="movement", **RATE)
    return work / "artifacts"


def base(sources: Sources, name: str = "bert") -> Path:
    assert sources.models_dir is not None
    return sources.models_dir / name


def hash_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def require_same_logits(pruned: PrunedModel, artifacts: Path) -> None:
    rows = [json.loads(line) for line in (artifacts / "predictions.jsonl").read_text().splitlines()]
    logits = pruned.logits([row["sentence"] for row in toy_datasets.opinions(ROWS, 2)])
    assert [[float(value) for value in row] for row in logits] == [row["logits"] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("fields", STATIC, ids=named)
def test_static_pruning_writes_no_weights_and_leaves_the_base(sources: Sources, tmp_path: Path, fields: dict[str, Any]) -> None:
    before = hash_of(base(sources) / "model.safetensors")
    events = run_toy(sources, tmp_path, validation_rows=ROWS, **fields)
    artifacts = tmp_path / "artifacts"
    assert not (artifacts / "weights.safetensors").exists()
    assert finished(events)["weights_changed"] is False
    info = mask_file.read_info(artifacts / MASK)
    assert info.weights_sha256 is None
    assert hash_of(base(sources) / "model.safetensors") == before
    assert info.base_digest == weights_digest(load_model(locate_model("bert", None, sources), ("Yes",), "label-words").model)
    require_same_logits(load_pruned(artifacts / MASK, sources=sources), artifacts)


@pytest.mark.slow
@pytest.mark.parametrize("fields", CHANGING, ids=named)
def test_a_mask_with_its_weights_gives_the_logits_of_its_training(sources: Sources, tmp_path: Path, fields: dict[str, Any]) -> None:
    model = base(sources, fields.get("model", "bert"))
    before = hash_of(model / "model.safetensors")
    events = run_toy(sources, tmp_path, **{"validation_rows": ROWS, "sparsity": 0.7, **fields})
    artifacts = tmp_path / "artifacts"
    assert finished(events)["weights_changed"] is True
    announced = {event.name: event for event in events if event.event == "artifact"}
    file = artifacts / trained_weights.WEIGHTS
    assert (announced[file.name].bytes, announced[file.name].sha256) == (file.stat().st_size, hash_of(file))
    assert mask_file.read_info(artifacts / MASK).weights_sha256 == hash_of(file)
    assert hash_of(model / "model.safetensors") == before
    pruned = load_pruned(artifacts / MASK, model=model)
    require_same_logits(pruned, artifacts)
    assert evaluate_mask(pruned, sources) == pruned.info.metrics


@pytest.mark.parametrize("fields", CHANGING, ids=named)
def test_only_kept_values_and_trained_parameters_are_stored(sources: Sources, tmp_path: Path, fields: dict[str, Any]) -> None:
    run_toy(sources, tmp_path, **{"validation_rows": ROWS, "sparsity": 0.7, **fields})
    masks, info = mask_file.read(tmp_path / "artifacts" / MASK)
    stored = load_file(tmp_path / "artifacts" / trained_weights.WEIGHTS)
    values = {key.removeprefix("values."): value for key, value in stored.items() if key.startswith("values.")}
    if METHODS[fields.get("method", "smp-s")].trains_weights:
        assert {path: value.numel() for path, value in values.items()} == info.kept
        assert all((value != 0).any() for value in values.values())
    else:
        assert values == {}
    parameters = {key for key in stored if key.startswith("parameter.")}
    readout = {key for key in stored if key.startswith("readout.")}
    assert len(parameters) + len(values) + len(readout) == len(stored)
    assert bool(readout) == (bool(fields.get("train_readout")) and "head" not in fields)
    assert bool(parameters) == bool(fields.get("train_biases") or fields.get("head"))
    loaded = load_model(locate_model(info.base_model, None, sources), info.label_words, info.head)
    for key in parameters:
        name = key.removeprefix("parameter.")
        assert loaded.model.get_parameter(name).shape == stored[key].shape
        assert name in loaded.new_parameters or (fields.get("train_biases") and stored[key].ndim == 1)
    size = 4 * sum(value.numel() for value in stored.values())
    assert (tmp_path / "artifacts" / trained_weights.WEIGHTS).stat().st_size < size + 200 * len(stored) + 100
    assert len(masks) == len(info.kept)


def test_a_mask_without_its_weights_is_refused_with_what_to_do(sources: Sources, movement: Path, tmp_path: Path) -> None:
    shutil.copy(movement / MASK, tmp_path)
    with pytest.raises(PermanentError, match=r"weights\.safetensors") as caught:
        load_pruned(tmp_path / MASK, sources=sources)
    assert (caught.value.code, caught.value.param) == ("weights_missing", "mask")


def test_weights_elsewhere_can_be_named(sources: Sources, movement: Path, tmp_path: Path) -> None:
    shutil.copy(movement / MASK, tmp_path)
    shutil.copy(movement / trained_weights.WEIGHTS, tmp_path / "renamed")
    pruned = load_pruned(tmp_path / MASK, sources=sources, weights=tmp_path / "renamed")
    expected = load_pruned(movement / MASK, sources=sources)
    assert np.array_equal(pruned.logits(["a great film"]), expected.logits(["a great film"]))


def test_weights_of_another_run_are_refused(sources: Sources, movement: Path, tmp_path: Path) -> None:
    run_toy(sources, tmp_path, method="movement", seed=7, **RATE)
    with pytest.raises(PermanentError) as caught:
        load_pruned(movement / MASK, sources=sources, weights=tmp_path / "artifacts" / trained_weights.WEIGHTS)
    assert (caught.value.code, caught.value.param) == ("weights_invalid", "mask")


def test_one_changed_byte_is_noticed(sources: Sources, movement: Path, tmp_path: Path) -> None:
    shutil.copytree(movement, tmp_path / "copy")
    file = tmp_path / "copy" / trained_weights.WEIGHTS
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(PermanentError) as caught:
        load_pruned(tmp_path / "copy" / MASK, sources=sources)
    assert caught.value.code == "weights_invalid"


def damage(stored: dict[str, torch.Tensor], how: str) -> dict[str, torch.Tensor]:
    key = next(key for key in stored if key.startswith("values."))
    if how == "shorter":
        return {**stored, key: stored[key][:-1].clone()}
    name = {"unknown matrix": "values.bert.encoder.layer.9.output.dense", "unknown parameter": "parameter.bert.nothing"}[how]
    return {**stored, name: torch.ones(3)}


@pytest.mark.parametrize("how", ["shorter", "unknown matrix", "unknown parameter", "cut", "text"])
def test_a_file_that_is_not_of_this_mask_is_refused(sources: Sources, movement: Path, tmp_path: Path, how: str) -> None:
    file = tmp_path / trained_weights.WEIGHTS
    if how in ("cut", "text"):
        file.write_bytes((movement / trained_weights.WEIGHTS).read_bytes()[:-9] if how == "cut" else b"not a safetensors file")
    else:
        save_file(damage(load_file(movement / trained_weights.WEIGHTS), how), file)
    loaded = load_model(locate_model("bert", None, sources), ("terrible", "great"), "label-words")
    masks = {path: torch.from_numpy(mask) for path, mask in mask_file.read(movement / MASK)[0].items()}
    with pytest.raises(PermanentError) as caught:
        trained_weights.load_into(trained_weights.read(file), loaded.model, masks, file.name)
    assert (caught.value.code, caught.value.param) == ("weights_invalid", "mask")


def test_weights_that_the_mask_does_not_need_are_not_read(sources: Sources, tmp_path: Path) -> None:
    run_toy(sources, tmp_path)
    (tmp_path / "artifacts" / trained_weights.WEIGHTS).write_bytes(b"of another job")
    load_pruned(tmp_path / "artifacts" / MASK, sources=sources)


def test_weights_outside_the_mask_become_zero_by_themselves(sources: Sources, movement: Path) -> None:
    loaded = load_model(locate_model("bert", None, sources), ("terrible", "great"), "label-words")
    masks = {path: torch.from_numpy(mask) for path, mask in mask_file.read(movement / MASK)[0].items()}
    file = movement / trained_weights.WEIGHTS
    trained_weights.load_into(trained_weights.read(file), loaded.model, masks, file.name)
    for path, mask in masks.items():
        assert not loaded.model.get_parameter(f"{path}.weight")[~mask].any()
