"""Masked matrices of each model architecture; nothing else about the model changes."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForMaskedLM

from pruning.errors import PermanentError
from pruning.masking.allocation import group_pattern
from pruning.masking.masked_linear import MaskedLinear
from pruning.masking.wrap import prunable_linears, wrap_linears
from tests import toy_models

INPUTS = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12], [5, 9, 8, 1, 1, 1, 1, 1]]),
    "attention_mask": torch.tensor([[1] * 8, [1] * 3 + [0] * 5]),
}
PATTERNS = {
    "bert": (
        "bert.encoder.layer.*.",
        {
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        },
    ),
    "roberta": (
        "roberta.encoder.layer.*.",
        {
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        },
    ),
    "electra": (
        "electra.encoder.layer.*.",
        {
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        },
    ),
    "distilbert": (
        "distilbert.transformer.layer.*.",
        {"attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2"},
    ),
}


@pytest.fixture(scope="module", params=toy_models.SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_models.make_model(tmp_path_factory.mktemp("models") / shape, shape)


def load(folder: Path) -> nn.Module:
    return AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_the_six_linears_of_every_layer_are_masked_and_grouped_and_nothing_else(shape: str, folder: Path) -> None:
    matrices = wrap_linears(load(folder))
    prefix, kinds = PATTERNS[shape]
    assert set(matrices.groups) == {prefix + kind for kind in kinds}
    assert len(matrices.layers) == 6 * toy_models.LAYERS
    assert {path for paths in matrices.groups.values() for path in paths} == set(matrices.layers)
    for pattern, paths in matrices.groups.items():
        assert paths == [pattern.replace("*", str(i)) for i in range(toy_models.LAYERS)]
    per_layer = 4 * toy_models.HIDDEN**2 + 2 * toy_models.HIDDEN * toy_models.INTERMEDIATE
    assert matrices.total == sum(matrices.sizes) == toy_models.LAYERS * per_layer


def test_the_model_computes_what_it_did_before(folder: Path) -> None:
    model = load(folder)
    with torch.no_grad():
        before = model(**INPUTS).logits
        wrap_linears(model)
        assert torch.equal(model(**INPUTS).logits, before)


def test_only_masked_weights_get_gradients_and_all_of_them_do(folder: Path) -> None:
    model = load(folder)
    matrices = wrap_linears(model)
    model(**INPUTS).logits.square().mean().backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {f"{path}.weight" for path in matrices.layers}
    assert all(float(layer.weight.grad.abs().sum()) > 0 for layer in matrices.layers.values())  # type: ignore[union-attr]
    assert all(parameter.grad is None for name, parameter in model.named_parameters() if name not in trained)


def test_scores_start_at_zero_and_masks_full(folder: Path) -> None:
    for layer in wrap_linears(load(folder)).layers.values():
        assert torch.equal(layer.scores, torch.zeros_like(layer.base))
        assert layer.kept == layer.base.numel()


def test_no_score_or_mask_is_stored_with_the_model(folder: Path) -> None:
    model = load(folder)
    names = set(model.state_dict())
    wrap_linears(model)
    assert set(model.state_dict()) == names


def test_a_pattern_is_the_path_without_layer_numbers() -> None:
    assert group_pattern("bert.encoder.layer.11.output.dense") == "bert.encoder.layer.*.output.dense"
    assert group_pattern("encoder.h2.0.3.linear") == "encoder.h2.*.*.linear"


def test_linears_outside_repeated_layers_stay_as_they_are() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.pooler = nn.Linear(3, 4), nn.Linear(4, 4)
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(3)])

    model = Model()
    matrices = wrap_linears(model)
    assert list(matrices.layers) == ["blocks.0.0", "blocks.1.0", "blocks.2.0"]
    assert type(model.embed) is type(model.pooler) is nn.Linear
    assert all(isinstance(block[0], MaskedLinear) for block in model.blocks)  # type: ignore[index]


def test_a_model_without_repeated_linears_is_refused() -> None:
    with pytest.raises(PermanentError) as caught:
        prunable_linears(nn.Sequential())
    assert (caught.value.code, caught.value.param) == ("model_nothing_to_prune", "model")
