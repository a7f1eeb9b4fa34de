"""Tensors of a model folder: those that its files lack or have in another shape are named; the list is that of transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from pruning.hub.models import ModelFolder
from pruning.masking.wrap import prunable_linears
from pruning.models.checks import MODEL_TYPES, check_model_folder
from pruning.models.config_sizes import Sizes
from pruning.models.encoder_tensors import encoder_shapes, head_shapes
from pruning.models.folder_forms import INDEX, WEIGHTS
from pruning.models.loading import load_model
from pruning.models.masked_shapes import count_masked_weights, masked_shapes
from tests import toy_architectures
from tests.model_folders import GOOD, SIZES, make_model, refusal, zeros

OPTIONAL = (
    "conv",
    "pos_",
    "rel_emb",
    "attn_norm",
    "encoder.LayerNorm",
    "bottleneck.",
    "query_key_value.bias",
    "attention.dense.bias",
)
"""Parts of the names of tensors that not every configuration of a type has."""


def meta_model(config: dict[str, Any]) -> Any:
    """As transformers builds it, without memory for weights."""
    about = AutoConfig.for_model(**config)
    kind = AutoModelForCausalLM if MODEL_TYPES[config["model_type"]].decoder_only else AutoModelForMaskedLM
    with torch.device("meta"):
        return kind.from_config(about)


@pytest.mark.parametrize(
    ("instead", "remedy"),
    [("pytorch_model.bin", "save_pretrained"), ("weights.safetensors", "rename it"), ("notes.txt", "safetensors format")],
)
def test_weights_that_cannot_be_used(tmp_path: Path, instead: str, remedy: str) -> None:
    folder = make_model(tmp_path / "m")
    (folder / WEIGHTS).rename(folder / instead)
    found = refusal(folder)
    assert found.code == "model_weights_missing"
    assert remedy in str(found)


@pytest.mark.parametrize("kept", [0, 4, 20, -1])
def test_a_truncated_file_is_corrupt(tmp_path: Path, kept: int) -> None:
    folder = make_model(tmp_path / "m")
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:kept])
    assert refusal(folder).code == "model_weights_corrupt"


def test_sharded_weights(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    (folder / WEIGHTS).unlink()
    bert = {"model_type": "bert", **SIZES}
    encoder = zeros(bert, head=False)
    head = {name: weight for name, weight in zeros(bert).items() if name not in encoder}
    parts = {"a.safetensors": encoder, "b.safetensors": head}
    for name, tensors in parts.items():
        save_file(tensors, folder / name)
    index = {"weight_map": {tensor: name for name, tensors in parts.items() for tensor in tensors}}
    (folder / INDEX).write_text(json.dumps(index))
    check_model_folder(folder, GOOD, "label-words")
    (folder / "b.safetensors").unlink()
    assert refusal(folder).code == "model_weights_missing"


@pytest.mark.parametrize("index", ["{", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../b"}}', '{"weight_map": 3}'])
def test_an_index_that_cannot_be_right(tmp_path: Path, index: str) -> None:
    folder = make_model(tmp_path / "m")
    (folder / INDEX).write_text(index)
    assert refusal(folder).code == "model_weights_corrupt"


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_missing_tensor_of_the_encoder_is_found_in_the_headers(tmp_path: Path, model_type: str) -> None:
    about = {"model_type": model_type, **SIZES}
    names = list(encoder_shapes(about))
    for number, name in enumerate(names):
        folder = make_model(tmp_path / str(number), model_type=model_type)
        save_file({other: weight for other, weight in zeros(about).items() if other != name}, folder / WEIGHTS)
        if name == names[0] and MODEL_TYPES[model_type].decoder_only:
            about["tie_word_embeddings"] = True
            (folder / "config.json").write_text(json.dumps(about))
            check_model_folder(folder, GOOD, "classifier")  # the output embedding is tied to it
            about["tie_word_embeddings"] = False
            (folder / "config.json").write_text(json.dumps(about))
        found = refusal(folder, head="classifier")
        assert (found.code, found.param) == ("model_weights_incomplete", "model")
        assert name in str(found)


def test_the_tensors_of_the_first_checkpoints_and_of_bare_encoders_are_known(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    weights = {
        name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): weight
        for name, weight in zeros({"model_type": "bert", **SIZES}, head=False).items()
    }
    for prefix in ("bert.", ""):
        save_file({prefix + name.removeprefix("bert."): weight for name, weight in weights.items()}, folder / WEIGHTS)
        check_model_folder(folder, GOOD, "classifier")


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_tensor_of_another_shape_is_found_in_the_headers(tmp_path: Path, model_type: str, head: bool) -> None:
    about = {"model_type": model_type, **SIZES}
    names = head_shapes(about) if head else encoder_shapes(about)
    for number, name in enumerate(names):
        weights = zeros(about)
        weights[name] = np.zeros((*weights[name].shape, 1), np.float32)
        folder = make_model(tmp_path / str(number), model_type=model_type)
        save_file(weights, folder / WEIGHTS)
        found = refusal(folder)
        assert (found.code, found.param) == ("model_weights_incomplete", "model")
        assert name in str(found)
        if head:
            check_model_folder(folder, GOOD, "classifier")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_sizes_are_those_of_transformers_with_and_without_a_configuration(model_type: str) -> None:
    """One layer of the model with the sizes of transformers, on no device, and of one that has other sizes."""
    for given in ({}, SIZES | {"hidden_size": 16, "dim": 16, "embedding_size": 16, "num_attention_heads": 4, "n_heads": 4}):
        config = {"model_type": model_type, **given, "num_hidden_layers": 1, "n_layers": 1}
        model = meta_model(config)
        built = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
        expected = encoder_shapes(config) | head_shapes(config)
        assert {name: built.get(name) for name in expected} == expected


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_layers_that_a_configuration_does_not_count_are_as_many_as_transformers_has(model_type: str) -> None:
    layers = AutoConfig.for_model(model_type).num_hidden_layers
    repeated = AutoConfig.for_model(model_type).num_hidden_groups if model_type == "albert" else layers
    assert Sizes.from_config({"model_type": model_type}).layers == repeated


@pytest.mark.parametrize("shape", toy_architectures.ALL)
def test_real_folders_of_every_architecture_pass_and_their_tensors_are_those_listed(tmp_path: Path, shape: str) -> None:
    folder = toy_architectures.make_model(tmp_path / "m", shape)
    check_model_folder(folder, (), "classifier")
    config = json.loads((folder / "config.json").read_text())
    listed = {name.removeprefix(name.split(".")[0] + ".") for name in encoder_shapes(config)}
    heads = ("cls.", "lm_head.", "vocab_", "generator_", "predictions.", "head.", "decoder.", "embed_out.")
    with safe_open(folder / WEIGHTS, framework="np") as weights:
        stored = {name for name in weights.keys() if not name.startswith(heads)}  # noqa: SIM118 - it is no mapping
    found = {name if shape == "minilm" else name.split(".", 1)[1] for name in stored}
    optional = {name for name in found - listed if any(part in name for part in OPTIONAL)}
    assert found - optional == listed


@pytest.mark.parametrize("shape", toy_architectures.ALL)
def test_masked_matrices_by_the_headers_are_those_that_are_wrapped(tmp_path: Path, shape: str) -> None:
    folder = toy_architectures.make_model(tmp_path / "m", shape)
    loaded = load_model(ModelFolder(folder, None), (), "classifier", classes=2)
    wrapped = {path: (each.out_features, each.in_features) for path, each in prunable_linears(loaded.model).items()}
    assert masked_shapes(folder) == wrapped
    assert count_masked_weights(folder) == sum(rows * columns for rows, columns in wrapped.values())


def test_layers_that_the_configuration_leaves_out_are_not_masked(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    every = masked_shapes(folder)
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": config["num_hidden_layers"] - 1}))
    fewer = masked_shapes(folder)
    assert len(fewer) == len(every) * (config["num_hidden_layers"] - 1) // config["num_hidden_layers"]
    assert fewer.items() <= every.items()
