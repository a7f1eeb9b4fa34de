"""Forms in which checkpoints come: half precision, shards, former names of norms, no prefix, an output embedding that is tied."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from pruning.hub.models import ModelFolder
from pruning.inference.pruned_model import load_pruned
from pruning.models.folder_forms import INDEX, WEIGHTS
from pruning.models.loading import LoadedModel, load_model, weights_digest
from pruning.sources import Sources
from tests import toy_architectures, toy_datasets
from tests.pruning.runs import run_toy
from tests.toy_datasets import read_lines

Weights = dict[str, torch.Tensor]


def load(folder: Path) -> LoadedModel:
    return load_model(ModelFolder(folder, None), ("terrible", "great"), "label-words")


def digest(folder: Path) -> str:
    return weights_digest(load(folder).model)


def rewrite(folder: Path, change: Callable[[Weights], Weights]) -> None:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, {"format": "pt"})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", ["bert", "gpt2"])
def test_half_precision_is_read_as_float32_and_its_masks_fit(tmp_path: Path, shape: str, dtype: torch.dtype) -> None:
    folder = toy_architectures.make_model(tmp_path / "models" / shape, shape)
    rewrite(folder, lambda weights: {name: tensor.to(dtype) for name, tensor in weights.items()})
    half = load_file(folder / WEIGHTS)
    found = load(folder).model.get_input_embeddings().weight
    assert found.dtype == torch.float32
    assert any(tensor.shape == found.shape and torch.equal(tensor.float(), found) for tensor in half.values())
    toy_datasets.make_opinions(tmp_path / "datasets" / "sst2", train=24, validation=12)
    sources = Sources(tmp_path / "models", tmp_path / "datasets", hub=False)
    run_toy(sources, tmp_path / "run", model=shape, max_steps=2, train_rows=24, validation_rows=12)
    artifacts = tmp_path / "run" / "artifacts"
    expected = [row["logits"] for row in read_lines(artifacts / "predictions.jsonl")]
    pruned = load_pruned(artifacts / "mask.safetensors", sources=sources)
    assert pruned.logits([row["sentence"] for row in toy_datasets.opinions(12, 2)]).tolist() == expected


@pytest.mark.parametrize("shape", ["bert", "gpt2", "gpt_neox", "mobilebert"])
def test_shards_hold_the_same_weights(tmp_path: Path, shape: str) -> None:
    folder = toy_architectures.make_model(tmp_path / shape, shape)
    whole = digest(folder)
    kind = AutoModelForCausalLM if shape in toy_architectures.DECODERS else AutoModelForMaskedLM
    model = kind.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / INDEX).is_file()
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert digest(folder) == whole


@pytest.mark.parametrize("shape", ["bert", "electra", "roberta", "mobilebert"])
def test_norms_by_their_former_names(tmp_path: Path, shape: str) -> None:
    folder = toy_architectures.make_model(tmp_path / shape, shape)
    expected = digest(folder)

    def rename(weights: Weights) -> Weights:
        former = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        found = {name: next((name.replace(a, b) for a, b in former.items() if a in name), name) for name in weights}
        assert any("gamma" in name for name in found.values())
        return {found[name]: tensor for name, tensor in weights.items()}

    rewrite(folder, rename)
    assert digest(folder) == expected


@pytest.mark.parametrize("shape", ["gpt2", "bert", "gemma"])
def test_an_encoder_stored_without_the_prefix_of_its_model(tmp_path: Path, shape: str) -> None:
    """As openai-community/gpt2 is."""
    folder = toy_architectures.make_model(tmp_path / shape, shape)
    expected = digest(folder)
    prefix = load(folder).model.base_model_prefix + "."
    rewrite(folder, lambda weights: {name.removeprefix(prefix): tensor for name, tensor in weights.items()})
    assert digest(folder) == expected


@pytest.mark.parametrize(
    ("shape", "name"), [("gpt2", "lm_head.weight"), ("gemma", "lm_head.weight"), ("bert", "cls.predictions.decoder.weight")]
)
def test_a_tied_embedding_that_is_stored_twice(tmp_path: Path, shape: str, name: str) -> None:
    folder = toy_architectures.make_model(tmp_path / shape, shape)
    expected = load(folder)
    table = expected.model.get_input_embeddings().weight.detach().clone()
    rewrite(folder, lambda weights: {**weights, name: table})
    assert digest(folder) == weights_digest(expected.model)
