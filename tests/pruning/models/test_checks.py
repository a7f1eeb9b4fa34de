"""Every way in which a model folder can be unfit has a code, a field and a sentence that says what to do."""

import json
from pathlib import Path

import pytest

from pruning.errors import PermanentError
from pruning.models.checks import MODEL_TYPES, check_class_names, check_model_folder
from tests.model_folders import GOOD, WORDS, make_model, refusal, word_pieces


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
        ('{"model_type": "t5"}', "model_type_unsupported"),
    ],
)
def test_config(tmp_path: Path, config: str | None, code: str) -> None:
    folder = make_model(tmp_path / "m")
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(config)
    assert refusal(folder).code == code


def test_tokenizers_that_are_missing_or_broken(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m")
    (folder / "tokenizer.json").write_text("{}")
    assert refusal(folder).code == "tokenizer_invalid"
    (folder / "tokenizer.json").unlink()
    assert refusal(folder).code == "tokenizer_missing"
    (folder / "vocab.txt").write_text("[UNK]\n")
    check_model_folder(folder, ("left", "to the trainer"), "label-words")


def test_more_token_ids_than_rows_of_the_embedding_are_refused(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "m", config={"vocab_size": len(WORDS)})
    check_model_folder(folder, GOOD, "label-words")
    tokenizer = word_pieces()
    tokenizer.add_tokens(["one", "two"])
    tokenizer.save(str(folder / "tokenizer.json"))
    found = refusal(folder)
    assert (found.code, found.param) == ("tokenizer_mismatch", "model")
    assert str(len(WORDS) + 2) in str(found)
    assert f"{len(WORDS)} " in str(found)


@pytest.mark.parametrize(
    ("files", "code", "remedy"),
    [
        ({"adapter_config.json": "{}"}, "model_adapter", "merge_and_unload"),
        ({"quantize_config.json": "{}"}, "model_quantized", "GPTQ"),
        ({"quant_config.json": "{}"}, "model_quantized", "AWQ"),
        *(
            (
                {"config.json": json.dumps({"model_type": "bert", "quantization_config": {"quant_method": method}})},
                "model_quantized",
                method,
            )
            for method in ("gptq", "awq", "bitsandbytes", "fp8", "compressed-tensors")
        ),
        ({"0_Transformer/config.json": "{}", "modules.json": "[]"}, "model_config_missing", "m/0_Transformer"),
    ],
)
def test_folders_of_another_form_are_refused_with_a_remedy(tmp_path: Path, files: dict[str, str], code: str, remedy: str) -> None:
    folder = make_model(tmp_path / "m")
    if "config.json" not in files and "quant" not in str(files):
        (folder / "config.json").unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    found = refusal(folder)
    assert (found.code, found.param) == (code, "model")
    assert remedy in str(found)


def test_a_sentencepiece_file_alone_is_refused_with_the_conversion(tmp_path: Path) -> None:
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
    folder = make_model(tmp_path / "m", model_type="deberta-v2", head=False, tensors=["lm_predictions.lm_head.dense.weight"])
    found = refusal(folder)
    assert found.code == "model_head_missing"
    assert "lm_predictions" in str(found)
    assert "classifier" in str(found)
    check_model_folder(folder, (), "classifier")


def classifier(folder: Path, names: list[str]) -> Path:
    config = {"architectures": ["BertForSequenceClassification"], "id2label": {str(i): name for i, name in enumerate(names)}}
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
