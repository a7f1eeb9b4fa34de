"""Plain modules compute what those of transformers do, and go back to them without a change."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
from transformers.pytorch_utils import Conv1D

from pruning.hub.models import ModelFolder
from pruning.models.folder_forms import WEIGHTS
from pruning.models.loading import load_model
from pruning.models.plain_modules import use_plain_modules, use_stock_modules
from tests import toy_architectures

INPUTS = {"input_ids": torch.arange(16).view(2, 8) + 5, "attention_mask": torch.ones(2, 8, dtype=torch.int64)}


@pytest.mark.parametrize("shape", ["gpt2", "mobilebert"])
@torch.no_grad()
def test_logits_stay_and_the_way_back_changes_no_tensor(tmp_path: Path, shape: str) -> None:
    folder = toy_architectures.make_model(tmp_path / shape, shape)
    kind = AutoModelForCausalLM if shape == "gpt2" else AutoModelForMaskedLM
    model = kind.from_pretrained(folder).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    expected = model(**INPUTS).logits
    use_plain_modules(model)
    assert not any(isinstance(module, Conv1D) for module in model.modules())
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} != {
        name: tensor.shape for name, tensor in before.items()
    }
    torch.testing.assert_close(model(**INPUTS).logits, expected, rtol=0, atol=1e-5)
    after = use_stock_modules(model).state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert torch.equal(model(**INPUTS).logits, expected)


@torch.no_grad()
def test_padding_is_no_neighbour_in_mobilebert(tmp_path: Path) -> None:
    """Its checkpoints have a row for the padding token that is not zero."""
    folder = toy_architectures.make_model(tmp_path / "mobilebert", "mobilebert")
    weights = load_file(folder / WEIGHTS)
    weights["mobilebert.embeddings.word_embeddings.weight"][0] = 1.0
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    loaded = load_model(ModelFolder(folder, None), ("terrible", "great"), "label-words")
    alone = loaded.tokenizer("the film was great", return_tensors="pt")
    padded = loaded.tokenizer("the film was great", return_tensors="pt", padding="max_length", max_length=24)
    length = alone["input_ids"].shape[1]
    torch.testing.assert_close(loaded.model(**padded).logits[:, :length], loaded.model(**alone).logits, rtol=0, atol=1e-5)
