"""Every way in which a model folder can be unfit has a code, a field and a sentence that says what to do."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pruning.errors import PermanentError
from pruning.models.checks import INDEX, MODEL_TYPES, WEIGHTS, check_model_folder
from tests.model_folders import HEAD_TENSORS, make_model

GOOD = ("terrible", "great")


def refusal(folder: Path, words: tuple[str, ...] = GOOD, head: str = "label-words") -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        check_model_folder(folder, words, head)
    return caught.value


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_complete_folder_of_each_type_passes(tmp_path: Path, model_type: str) -> None:
    check_model_folder(make_model(tmp_path / "m", model_type=model_type), GOOD, "label-words")


@pytest.mark.parametrize("model_type", [name for name, shape in MODEL_TYPES.items() if not shape.decoder_only])
def test_a_missing_head_is_found_in_the_header(tmp_path: Path, model_type: str) -> None:
    found = refusal(make_model(tmp_path / "m", model_type=model_type, head=False))
    assert (found.code, found.param) == ("model_head_missing", "model")
    assert MODEL_TYPES[model_type].transform in str(found)


def test_an_untied_decoder_only_model_must_have_its_output_embedding(tmp_path: Path) -> None:
    untied = {"tie_word_embeddings": False}
    found = refusal(make_model(tmp_path / "m", model_type="llama", head=False, config=untied))
    assert (found.code, found.param) == ("model_head_missing", "model")


def test_a_head_is_not_needed_by_other_heads(tmp_path: Path) -> None:
    check_model_folder(make_model(tmp_path / "m", head=False), ("unheard", "of"), "classifier")


def test_an_untied_decoder_must_be_in_the_file(tmp_path: Path) -> None:
    untied = {"tie_word_embeddings": False}
    assert refusal(make_model(tmp_path / "without", config=untied)).code == "model_head_missing"
    with_it = make_model(tmp_path / "with", config=untied, tensors=["cls.predictions.decoder.weight"])
    check_model_folder(with_it, GOOD, "label-words")


@pytest.mark.parametrize(
    ("config", "code"),
    [
        (None, "model_config_missing"),
        ("{", "model_config_invalid"),
        ("[]", "model_config_invalid"),
        ("{}", "model_type_unsupported"),
        ('{"model_type": ["bert"]}', "model_type_unsupported"),
        ('{"model_type": "gpt2"}', "model_type_unsupported"),
    ],
)
def test_config(tmp_path: Path, config: str | None, code: str) -> None:
    folder = make_model(tmp_path / "m")
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config)
    assert refusal(folder).code == code


@pytest.mark.parametrize(
    ("instead", "remedy"),
    [
        ("pytorch_model.bin", "save_pretrained"),
        ("weights.safetensors", "rename it"),
        ("notes.txt", "safetensors format"),
    ],
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
    parts = {"a.safetensors": "encoder.weight", "b.safetensors": HEAD_TENSORS["bert"]}
    for name, tensor in parts.items():
        save_file({tensor: np.zeros(2, np.float32)}, folder / name)
    index = {"weight_map": {tensor: name for name, tensor in parts.items()}}
    (folder / INDEX).write_text(json.dumps(index))
    check_model_folder(folder, GOOD, "label-words")
    (folder / "b.safetensors").unlink()
    assert refusal(folder).code == "model_weights_missing"


@pytest.mark.parametrize(
    "index", ["{", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../b"}}', '{"weight_map": 3}']
)
def test_an_index_that_cannot_be_right(tmp_path: Path, index: str) -> None:
    folder = make_model(tmp_path / "m")
    (folder / INDEX).write_text(index)
    assert refusal(folder).code == "model_weights_corrupt"


def test_tokenizers_that_are_missing_or_broken(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    (folder / "tokenizer.json").write_text("{}")
    assert refusal(folder).code == "tokenizer_invalid"
    (folder / "tokenizer.json").unlink()
    assert refusal(folder).code == "tokenizer_missing"
    (folder / "vocab.txt").write_text("[UNK]\n")
    check_model_folder(folder, ("left", "to the trainer"), "label-words")
