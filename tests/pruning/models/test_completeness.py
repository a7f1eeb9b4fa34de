"""A checkpoint without a tensor of the encoder is refused, for every type and head; a tied embedding is found under either name."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pruning.errors import PermanentError
from pruning.hub.models import ModelFolder
from pruning.models.checks import MODEL_TYPES, read_model_type
from pruning.models.loading import LoadedModel, load_model
from tests import toy_architectures

pytestmark = pytest.mark.slow

WEIGHTS = "model.safetensors"


def load(folder: Path, head: str) -> LoadedModel:
    return load_model(ModelFolder(folder, None), ("Yes", "No"), head)


def rewrite(folder: Path, change: Any) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS, {"format": "pt"})


def encoder_tensors(folder: Path) -> list[str]:
    """Of the file, without those of a head."""
    loaded = load(folder, "classifier")
    prefix = f"{loaded.model.base_model_prefix}."
    kept = set(load_file(folder / WEIGHTS)) & set(loaded.model.state_dict())
    return sorted(name for name in kept if name.startswith(prefix))


@pytest.mark.parametrize("shape", [shape for shape in toy_architectures.ALL if shape != "minilm"])
@pytest.mark.parametrize("head", ["classifier", "label-words"])
def test_a_missing_tensor_of_the_encoder_is_refused_whichever_it_is(tmp_path: Path, shape: str, head: str) -> None:
    folder = toy_architectures.make_model(tmp_path / "m", shape)
    names = encoder_tensors(folder)
    kinds = {name.replace(".1.", ".0."): name for name in names}  # one of each kind
    whole = load_file(folder / WEIGHTS)
    for name in kinds.values():
        rewrite(folder, lambda weights, name=name: weights.pop(name))
        with pytest.raises(PermanentError) as caught:
            load(folder, head)
        assert (caught.value.code, caught.value.param) == ("model_weights_incomplete", "model"), name
        save_file(whole, folder / WEIGHTS, {"format": "pt"})


UNTIED = ("llama", "mistral", "gpt_neox", "phi")
TIED = [shape for shape in toy_architectures.ALL if shape not in ("minilm", *UNTIED)]


@pytest.mark.parametrize("shape", TIED)
@pytest.mark.parametrize("head", ["classifier", "label-words"])
def test_a_tied_embedding_is_read_from_the_output_embedding(tmp_path: Path, shape: str, head: str) -> None:
    folder = toy_architectures.make_model(tmp_path / "m", shape)
    expected = load(folder, head)
    table = expected.model.get_input_embeddings().weight.detach().clone()
    decoder = MODEL_TYPES[read_model_type(folder)].decoder

    def move(weights: dict[str, torch.Tensor]) -> None:
        (name,) = [name for name, tensor in weights.items() if tensor.shape == table.shape and ("embed" in name or "wte" in name)]
        weights[decoder] = weights.pop(name)

    rewrite(folder, move)
    found = load(folder, head)
    assert torch.equal(found.model.get_input_embeddings().weight, table)
    assert found.new_parameters == expected.new_parameters
    if head == "label-words":
        # MobileBERT's has more columns, which are not tied
        assert torch.equal(found.model.get_output_embeddings().weight[:, : table.shape[1]], table)


def test_an_untied_embedding_is_not_replaced_by_another(tmp_path: Path) -> None:
    folder = toy_architectures.make_model(tmp_path / "m", "llama")
    rewrite(folder, lambda weights: weights.pop("model.embed_tokens.weight"))
    with pytest.raises(PermanentError) as caught:
        load(folder, "classifier")
    assert caught.value.code == "model_weights_incomplete"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    folder = toy_architectures.make_model(tmp_path / "m", "bert")

    def damage(weights: dict[str, torch.Tensor]) -> None:
        weights["bert.encoder.layer.1.output.dense.bias"][3] = value

    rewrite(folder, damage)
    with pytest.raises(PermanentError, match=r"layer\.1\.output\.dense\.bias") as caught:
        load(folder, "label-words")
    assert caught.value.code == "model_weights_damaged"


@pytest.mark.parametrize(("part", "message"), [("word_embeddings", "embeddings"), ("layer.", "layers")])
def test_zeros_throughout_are_refused(tmp_path: Path, part: str, message: str) -> None:
    folder = toy_architectures.make_model(tmp_path / "m", "bert")
    rewrite(folder, lambda weights: [tensor.zero_() for name, tensor in weights.items() if part in name])
    with pytest.raises(PermanentError, match=message) as caught:
        load(folder, "classifier")
    assert caught.value.code == "model_weights_damaged"
