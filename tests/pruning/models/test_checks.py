"""Every way in which a model folder can be unfit has a code, a field and a sentence that says what to do."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from pruning.errors import PermanentError
from pruning.models.checks import INDEX, MODEL_TYPES, WEIGHTS, check_class_names, check_model_folder
from pruning.models.config_sizes import Sizes
from pruning.models.encoder_tensors import encoder_shapes, head_shapes
from tests import toy_architectures
from tests.model_folders import SIZES, WORDS, make_model, word_pieces, zeros

GOOD = ("terrible", "great")


def meta_model(config: dict[str, Any]) -> Any:
    """As transformers builds it, without memory for weights."""
    about = AutoConfig.for_model(**config)
    kind = AutoModelForCausalLM if MODEL_TYPES[config["model_type"]].decoder_only else AutoModelForMaskedLM
    with torch.device("meta"):
        return kind.from_config(about)


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


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_missing_tensor_of_the_encoder_is_found_in_the_headers(tmp_path: Path, model_type: str) -> None:
    about = {"model_type": model_type, **SIZES}
    names = list(encoder_shapes(about))
    for number, name in enumerate(names):
        folder = make_model(tmp_path / str(number), model_type=model_type)
        save_file({other: weight for other, weight in zeros(about).items() if other != name}, folder / WEIGHTS)
        if name == names[0] and model_type in ("llama", "qwen2", "qwen3"):
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
    for given in (
        {},
        SIZES | {"hidden_size": 16, "dim": 16, "embedding_size": 16, "num_attention_heads": 4, "n_heads": 4},
    ):
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
    heads = ("cls.", "lm_head.", "vocab_", "generator_", "predictions.", "head.", "decoder.")
    with safe_open(folder / WEIGHTS, framework="np") as weights:
        stored = {name for name in weights.keys() if not name.startswith(heads)}  # noqa: SIM118 - it is no mapping
    found = {name if shape == "minilm" else name.split(".", 1)[1] for name in stored}
    optional = {
        name
        for name in found - listed
        if any(part in name for part in ("conv", "pos_", "rel_emb", "attn_norm", "encoder.LayerNorm"))
    }
    assert found - optional == listed


def test_more_token_ids_than_rows_of_the_embedding_are_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", config={"vocab_size": len(WORDS)})
    check_model_folder(folder, GOOD, "label-words")
    tokenizer = word_pieces()
    tokenizer.add_tokens(["one", "two"])
    tokenizer.save(str(folder / "tokenizer.json"))
    found = refusal(folder)
    assert (found.code, found.param) == ("tokenizer_mismatch", "model")
    assert str(len(WORDS) + 2) in str(found)
    assert f"{len(WORDS)} rows" in str(found)


@pytest.mark.parametrize(
    ("files", "code", "remedy"),
    [
        ({"adapter_config.json": "{}"}, "model_adapter", "merge_and_unload"),
        ({"quantize_config.json": "{}"}, "model_quantized", "GPTQ"),
        ({"quant_config.json": "{}"}, "model_quantized", "AWQ"),
        *(
            ({"config.json": json.dumps({"model_type": "bert", "quantization_config": {"quant_method": method}})},
             "model_quantized", method)
            for method in ("gptq", "awq", "bitsandbytes", "fp8", "compressed-tensors")
        ),
        ({"0_Transformer/config.json": "{}", "modules.json": "[]"}, "model_config_missing", "m/0_Transformer"),
    ],
)  # fmt: skip
def test_folders_of_another_form_are_told_what_to_do(
    tmp_path: Path, files: dict[str, str], code: str, remedy: str
) -> None:
    folder = make_model(tmp_path / "m")
    if "config.json" not in files and "quant" not in str(files):
        (folder / "config.json").unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    found = refusal(folder)
    assert (found.code, found.param) == (code, "model")
    assert remedy in str(found)


def test_a_sentencepiece_file_alone_is_told_how_to_convert(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    (folder / "tokenizer.json").rename(folder / "spm.model")
    found = refusal(folder)
    assert found.code == "tokenizer_missing"
    assert "spm.model" in str(found)
    assert "save_pretrained" in str(found)
    deberta = make_model(tmp_path / "deberta", model_type="deberta-v2")
    (deberta / "tokenizer.json").rename(deberta / "spm.model")
    check_model_folder(deberta, ("left", "to the trainer"), "label-words")


def test_the_other_head_of_deberta_is_named_with_the_head_that_works(tmp_path: Path) -> None:
    folder = make_model(
        tmp_path / "m", model_type="deberta-v2", head=False, tensors=["lm_predictions.lm_head.dense.weight"]
    )
    found = refusal(folder)
    assert found.code == "model_head_missing"
    assert "lm_predictions" in str(found)
    assert "classifier" in str(found)
    check_model_folder(folder, (), "classifier")


def classifier(folder: Path, names: list[str]) -> Path:
    config = {
        "architectures": ["BertForSequenceClassification"],
        "id2label": {str(i): name for i, name in enumerate(names)},
    }
    return make_model(folder, head=False, tensors=["classifier.weight"], config=config)


def test_classes_of_a_trained_classifier_are_compared_by_name(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "m", ["C++", "C", "C#"])
    check_class_names(folder, ("C", "C#", "C++"), 3)
    with pytest.raises(PermanentError) as caught:
        check_class_names(folder, ("C", "D", "C++"), 3, param="teacher")
    assert (caught.value.code, caught.value.param) == ("labels_mismatch", "teacher")
    check_class_names(folder, ("x", "y", "z"), 3, given=("z", "y", "x"))
    with pytest.raises(PermanentError):
        check_class_names(folder, ("C", "C#"), 2)
    check_class_names(make_model(tmp_path / "new"), ("any", "names"), 2)
