"""Models are loaded whole or refused, and known by the digest of all their weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pruning.errors import PermanentError
from pruning.hub.models import ModelFolder
from pruning.models.loading import LoadedModel, checkpoint_bytes, load_model, locate_model, weights_digest
from pruning.sources import Sources
from tests import toy_models

WORDS = ("terrible", "great")


def loaded(folder: Path, **options: Any) -> LoadedModel:
    return load_model(ModelFolder(folder, None), WORDS, "label-words", **options)


def dropouts(model: nn.Module) -> set[float]:
    return {module.p for module in model.modules() if isinstance(module, nn.Dropout)}


@pytest.mark.parametrize("shape", toy_models.SHAPES)
def test_a_model_is_loaded_dense_in_single_precision_and_evaluation_mode(tmp_path: Path, shape: str) -> None:
    found = loaded(toy_models.make_model(tmp_path / "m", shape))
    assert not found.model.training
    assert {parameter.dtype for parameter in found.model.parameters()} == {torch.float32}
    assert found.max_positions == toy_models.POSITIONS
    assert found.new_parameters == frozenset()


def test_every_parameter_counts_for_the_digest(tmp_path: Path) -> None:
    model = loaded(toy_models.make_model(tmp_path / "m")).model
    seen = {weights_digest(model)}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.view(-1)[-1] += 1
            seen.add(weights_digest(model))
            parameter.view(-1)[-1] -= 1
    assert len(seen) == 1 + len(list(model.parameters()))


def test_the_digest_is_that_of_names_shapes_and_values() -> None:
    def one(name: str, *shape: int) -> str:
        model = nn.Module()
        model.register_parameter(name, nn.Parameter(torch.arange(6.0).view(shape)))
        return weights_digest(model)

    assert len({one("a", 2, 3), one("b", 2, 3), one("a", 3, 2), one("a", 6)}) == 4
    assert one("a", 2, 3) == one("a", 2, 3)


@pytest.mark.parametrize("stored", [0, 0.3])
def test_dropout_replaces_that_of_the_configuration_however_it_is_written(tmp_path: Path, stored: float) -> None:
    folder = toy_models.make_model(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": stored, "attention_probs_dropout_prob": stored}
    (folder / "config.json").write_text(json.dumps(config))
    assert dropouts(loaded(folder).model) == {stored}
    assert dropouts(loaded(folder, dropout=0.2).model) == {0.2}


def test_a_checkpoint_with_a_tensor_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = toy_models.make_model(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    name = "bert.encoder.layer.0.output.dense.weight"
    save_file({**weights, name: weights[name][:, :-1].contiguous()}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PermanentError) as caught:
        loaded(folder)
    assert caught.value.code == "model_weights_incomplete"


def test_a_local_folder_comes_before_the_hub_and_has_no_revision(tmp_path: Path) -> None:
    folder = toy_models.make_model(tmp_path / "org" / "m")
    assert locate_model("org/m", None, Sources(tmp_path, None)) == ModelFolder(folder, None)
    with pytest.raises(PermanentError) as caught:
        locate_model("org/m", "main", Sources(tmp_path, None))
    assert (caught.value.code, caught.value.param) == ("revision_not_found", "revision")


def test_the_size_of_a_checkpoint_is_that_of_its_weights(tmp_path: Path) -> None:
    folder = toy_models.make_model(tmp_path / "m")
    assert checkpoint_bytes(folder) == (folder / "model.safetensors").stat().st_size
