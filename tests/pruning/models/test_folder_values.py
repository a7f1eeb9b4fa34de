"""Values of a model folder's JSON files: refused before torch is needed, by file and key, as the fuzz test found them."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from pruning.errors import PermanentError
from pruning.models.checks import MODEL_TYPES
from pruning.models.folder_values import check_config, check_tokenizer_files, special_tokens

CONFIG: dict[str, Any] = {"model_type": "bert", "hidden_size": 32, "num_attention_heads": 2, "vocab_size": 50, "pad_token_id": 0}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_position_embeddings", 0.5),
        ("vocab_size", -1),
        ("hidden_size", "32"),
        ("type_vocab_size", 2**63),
        ("hidden_dropout_prob", 2**63),
        ("attention_dropout", "0.1"),
        ("num_labels", {}),
        ("num_labels", "\x00"),
        ("chunk_size_feed_forward", "1e5"),
        ("pad_token_id", 50),
        ("pad_token_id", "[PAD]"),
        ("num_attention_heads", 3),
        ("hidden_act", "x"),
        ("hidden_act", []),
        ("dtype", "-1"),
        ("tie_word_embeddings", None),
        ("layer_norm_eps", float("nan")),
        ("architectures", "BertForMaskedLM"),
        ("id2label", ["a"]),
        ("id2label", {"a": "b"}),
        ("num_hidden_layers", True),
    ],
)
def test_a_configuration_no_model_can_have(key: str, value: Any) -> None:
    check_config(CONFIG, "toy")
    with pytest.raises(PermanentError, match=r"config\.json .*'toy'") as refusal:
        check_config(CONFIG | {key: value}, "toy")
    assert (refusal.value.code, refusal.value.param) == ("model_config_invalid", "model")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", b"\x1f\x8b\x08"),
        ("tokenizer_config.json", b"{,"),
        ("tokenizer_config.json", b"[" * 5000),
        ("special_tokens_map.json", b"[]"),
        ("special_tokens_map.json", b'"x"'),
        ("added_tokens.json", b"3"),
        ("tokenizer_config.json", b'{"mask_token": 9223372036854775808}'),
        ("tokenizer_config.json", b'{"auto_map": 3}'),
        ("tokenizer_config.json", b'{"tokenizer_class": true}'),
        ("tokenizer_config.json", b'{"model_max_length": "xx"}'),
        ("tokenizer_config.json", b'{"model_max_length": NaN}'),
        ("tokenizer_config.json", b'{"added_tokens_decoder": -0.0}'),
        ("tokenizer_config.json", b'{"added_tokens_decoder": {"x": {}}}'),
        ("added_tokens.json", b'{"a": "b"}'),
        ("tokenizer_config.json", b'{"pad_token": "\\ud800"}'),
        ("chat_template.jinja", b"\xff"),
    ],
)
def test_side_files_of_a_tokenizer_that_cannot_be_read(tmp_path: Path, name: str, content: bytes) -> None:
    check_tokenizer_files(tmp_path, "toy")  # none is needed
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PermanentError, match=name) as refusal:
        check_tokenizer_files(tmp_path, "toy")
    assert (refusal.value.code, refusal.value.param) == ("tokenizer_invalid", "model")


def test_usual_side_files_pass(tmp_path: Path) -> None:
    config = {
        "model_max_length": 1e30,
        "cls_token": {"content": "[CLS]", "lstrip": False},
        "bos_token": None,
        "added_tokens_decoder": {"0": {"content": "[PAD]"}},
        "additional_special_tokens": ["<x>"],
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    check_tokenizer_files(tmp_path, "toy")
    assert special_tokens(tmp_path) == {"[CLS]"}


ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    1,
    -1,
    2**70,
    0.5,
    -0.5,
    1e308,
    "",
    "x",
    "0",
    [],
    [1],
    ["x"],
    {},
    {"x": 1},
    {"x": None},
    {"0": []},
)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_what_passes_has_the_types_that_transformers_checks(model_type: str) -> None:
    kind = CONFIG_MAPPING[model_type]
    late = []
    for name in {field.name for field in dataclasses.fields(kind)} - {"quantization_config"}:
        for value in ODD:
            try:
                check_config({"model_type": model_type, name: value}, "toy")
            except PermanentError:
                continue
            try:
                kind.from_dict({"model_type": model_type, name: value})
            except Exception as fault:  # noqa: BLE001 - of any kind, it ends a trainer
                late.append((name, value, repr(fault)[:200]))
    assert late == []


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_configurations_of_transformers_pass(model_type: str) -> None:
    check_config(json.loads(CONFIG_MAPPING[model_type]().to_json_string(use_diff=False)), "toy")
