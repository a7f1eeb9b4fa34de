"""Values in the JSON files of a model folder, checked for the types and ranges that transformers takes. Torch-free.

Called by :mod:`pruning.models.checks`, so that a folder is refused at submission, by file and key, for what would otherwise end the
trainer when it loads the model. Keys that are not listed here are left to transformers.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pruning.errors import PermanentError
from pruning.models.config_sizes import Sizes

_Rule = tuple[Callable[[Any], bool], str]
_MOST = 2**31 - 1
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

_ACTIVATIONS = (
    "gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh hardswish laplace leaky_relu "
    "linear mish prelu quick_gelu relu relu2 relu6 sigmoid silu sqrtsoftplus swish tanh xielu"
).split()
_LAYER_TYPES = ("full_attention", "sliding_attention")
_DTYPES = ("float32", "float16", "bfloat16", "float64", "float", "half", "double", "auto")


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_decimal(key) and isinstance(name, str) for key, name in value.items())


def _is_ids_by_label(value: Any) -> bool:
    return isinstance(value, dict) and {type(number) for number in value.values()} in (set(), {int}, {str})


def _is_by_layer_type(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key in _LAYER_TYPES and isinstance(each, dict) for key, each in value.items()
    )


def _is_id(value: Any) -> bool:
    return type(value) is int


def _or_null(rule: _Rule) -> _Rule:
    return (lambda value: value is None or rule[0](value)), rule[1]


def _is_tokens(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(_is_token(token) for token in value))


def _is_token(value: Any) -> bool:
    text = value.get("content") if isinstance(value, dict) else value
    return value is None or (isinstance(text, str) and not any("\ud800" <= letter <= "\udfff" for letter in text))


def _is_extra(value: Any) -> bool:
    tokens = list(value.values()) if isinstance(value, dict) else value
    return isinstance(tokens, list) and all(token is not None and _is_token(token) for token in tokens)


def _is_added(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and all(_is_decimal(key) and isinstance(token, dict) and _is_token(token) for key, token in value.items())
    )


def _is_decimal(text: Any) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdecimal()


_COUNT: _Rule = (_is_count, "a whole number of 1 or more")
_SIZE: _Rule = (_is_size, "a whole number of 0 or more")
_NUMBER: _Rule = (_is_number, "a finite number")
_FRACTION: _Rule = (lambda value: type(value) is float and math.isfinite(value), "a finite number with a decimal point")
_TEXT: _Rule = (lambda value: isinstance(value, str), "text")
_OBJECT: _Rule = (lambda value: isinstance(value, dict), "an object")
_NAMES: _Rule = (_is_names, "a list of names")
_ID: _Rule = (_is_id, "a whole number")
_IDS: _Rule = (
    lambda value: _is_id(value) or (isinstance(value, list) and all(map(_is_id, value))),
    "an id or a list of ids",
)
_FLAG: _Rule = (lambda value: isinstance(value, bool), "true or false")
_ACTIVATION: _Rule = (lambda value: value in _ACTIVATIONS, "an activation such as gelu, relu or silu")
_DTYPE: _Rule = (
    lambda value: isinstance(value, str) and value.removeprefix("torch.") in _DTYPES,
    "float32, float16 or bfloat16",
)
_LABELS: _Rule = (_is_labels, 'an object of class names by id, {"0": "negative", …}')
_SHARE: _Rule = (_is_share, "a number from 0 to 1")
_TOKEN: _Rule = (_is_token, "a token's text, or an object with it as content")

_ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3")
_PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")
_CONFIG: dict[str, _Rule] = {
    **dict.fromkeys(
        ("hidden_size", "dim", "num_hidden_layers", "n_layers", "num_attention_heads", "n_heads", "intermediate_size",
         "hidden_dim", "vocab_size", "max_position_embeddings", "num_labels", "embedding_size", "num_hidden_groups",
         "inner_group_num", "relative_attention_num_buckets"), _COUNT,
    ),
    **dict.fromkeys(("num_key_value_heads", "head_dim"), _or_null(_COUNT)),
    **dict.fromkeys(("type_vocab_size", "chunk_size_feed_forward"), _SIZE),
    **dict.fromkeys(("local_attention", "position_buckets", "max_relative_positions", "max_window_layers",
                    "sparse_pred_ignore_index"), _ID),
    **dict.fromkeys(("bos_token_id", "cls_token_id", "sep_token_id", "pretraining_tp", "sliding_window"), _or_null(_ID)),
    "eos_token_id": _or_null(_IDS),
    **dict.fromkeys(
        ("layer_norm_eps", "rms_norm_eps", "norm_eps", "initializer_cutoff_factor"), _FRACTION
    ),
    "initializer_range": (lambda value: type(value) is float and 0 <= value <= 1, "a number with a decimal point from 0 to 1"),
    "layer_norm_epsilon": _NUMBER,
    "problem_type": _or_null((lambda value: value in _PROBLEMS, f"one of {', '.join(_PROBLEMS)}")),
    "transformers_version": _or_null(_TEXT),
    **dict.fromkeys(("classifier_activation", "summary_activation", "summary_type"), _TEXT),
    **dict.fromkeys(
        ("tie_word_embeddings", "is_decoder", "is_encoder_decoder", "add_cross_attention", "summary_use_proj", "attention_bias",
         "mlp_bias", "norm_bias", "classifier_bias", "decoder_bias", "legacy", "position_biased_input", "relative_attention",
         "sinusoidal_pos_embds", "sparse_prediction", "deterministic_flash_attn", "use_cache", "use_sliding_window"), _FLAG,
    ),
    **dict.fromkeys(("return_dict", "output_hidden_states"), _or_null(_FLAG)),
    **dict.fromkeys(("hidden_act", "activation", "hidden_activation", "pooler_hidden_act"), _ACTIVATION),
    **dict.fromkeys(("dtype", "torch_dtype"), _or_null(_DTYPE)),
    **dict.fromkeys(("architectures", "layer_types"), _or_null(_NAMES)),
    "attn_implementation": _or_null((lambda value: value in _ATTENTION, f"one of {', '.join(_ATTENTION)}")),
    "classifier_pooling": (lambda value: value in ("cls", "mean"), "cls or mean"),
    "pos_att_type": _or_null((lambda value: isinstance(value, str) or _is_names(value), "text or a list of texts")),
    **dict.fromkeys(("rope_parameters", "auto_map"), _or_null(_OBJECT)),
    "id2label": _or_null(_LABELS),
    "label2id": _or_null((_is_ids_by_label, 'an object of ids by class name, {"negative": 0, …}')),
}  # fmt: skip
"""Of fields of every type that is supported, the types that the classes of transformers check."""
_OF_TYPE: dict[str, dict[str, _Rule]] = {
    "distilbert": dict.fromkeys(("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"), _SHARE),
    "modernbert": {
        **dict.fromkeys(("classifier_dropout", "attention_dropout"), _SHARE),
        "rope_parameters": _or_null(
            (_is_by_layer_type, f"an object of objects, with keys of {' and '.join(_LAYER_TYPES)}")
        ),
    },
    "qwen2": {"attention_dropout": _SHARE},
    "qwen3": {"attention_dropout": _SHARE, "head_dim": _COUNT},
}
_NEVER_NULL = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout_prob", "embedding_dropout", "mlp_dropout",
    "pooler_dropout", "summary_last_dropout",
)  # fmt: skip
_TOKENIZER: dict[str, _Rule] = {
    **dict.fromkeys(SPECIAL_TOKENS, _TOKEN),
    "tokenizer_class": _or_null(_TEXT),
    "auto_map": (lambda value: isinstance(value, list | dict), "an object or a list"),
    **dict.fromkeys(("do_lower_case", "tokenize_chinese_chars"), _FLAG),
    "strip_accents": _or_null(_FLAG),
    "extra_special_tokens": _or_null((_is_extra, "a list or an object of tokens")),
    "model_max_length": (lambda value: value is None or (_is_number(value) and value >= 1), "a number of 1 or more"),
    "added_tokens_decoder": (_is_added, "an object of tokens by id"),
    "additional_special_tokens": (_is_tokens, "a list of tokens"),
    "padding_side": (lambda value: value in ("left", "right"), "left or right"),
}


def check_config(config: dict[str, Any], name: str) -> None:
    """Refuse a configuration whose values no model can have. Raises PermanentError (``model_config_invalid``)."""
    where = f"config.json of model {name!r}"
    _check("model_config_invalid", where, config, _CONFIG)
    shares = {key: _SHARE if key in _NEVER_NULL else _or_null(_SHARE) for key in config if "dropout" in key}
    _check("model_config_invalid", where, config, shares | _OF_TYPE.get(config["model_type"], {}))
    sizes = Sizes.from_config(config)
    padding = config.get("pad_token_id", sizes.padding)
    if padding is not None and (type(padding) is not int or not -sizes.vocab <= padding < sizes.vocab):
        raise _refusal("model_config_invalid", where, "pad_token_id", padding, f"an id of its {sizes.vocab} tokens")
    kinds = config.get("layer_types")
    if kinds is not None and (len(kinds) != sizes.layers or not set(kinds) <= set(_LAYER_TYPES)):
        wanted = f"{' or '.join(_LAYER_TYPES)} for each of its {sizes.layers} layers"
        raise _refusal("model_config_invalid", where, "layer_types", kinds, wanted)
    if sizes.hidden % sizes.heads and config.get("head_dim") is None:
        raise _refusal(
            "model_config_invalid", where, "number of attention heads", sizes.heads,
            f"a divisor of its {sizes.hidden} dimensions",
        )  # fmt: skip


def check_tokenizer_files(path: Path, model: str) -> None:
    """Refuse side files of a tokenizer that transformers could not read. Raises PermanentError (``tokenizer_invalid``)."""
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        where, content = f"{name} of model {model!r}", _read(path / name, model)
        if name == "added_tokens.json":
            _check("tokenizer_invalid", where, content, dict.fromkeys(content, _SIZE))
        else:
            _check("tokenizer_invalid", where, content, _TOKENIZER)
    template = path / "chat_template.jinja"
    try:
        template.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (ValueError, OSError) as fault:
        raise PermanentError(
            f"{template.name} of model {model!r} cannot be read: {fault}", code="tokenizer_invalid", param="model"
        ) from fault


def special_tokens(path: Path) -> set[str]:
    """Special tokens that the side files name; transformers adds those that the tokenizer does not have."""
    found = set()
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        content = _read(path / name, path.name)
        for key in SPECIAL_TOKENS:
            token = content.get(key)
            found.add(token["content"] if isinstance(token, dict) else token)
    return {token for token in found if isinstance(token, str)}


def _read(file: Path, model: str) -> dict[str, Any]:
    where = f"{file.name} of model {model!r}"
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError, RecursionError) as fault:
        raise PermanentError(f"{where} cannot be read: {fault}", code="tokenizer_invalid", param="model") from fault
    if not isinstance(content, dict):
        raise PermanentError(f"{where} is not a JSON object", code="tokenizer_invalid", param="model")
    return content


def _check(code: str, where: str, content: dict[str, Any], rules: dict[str, _Rule]) -> None:
    for key, (fits, wanted) in rules.items():
        if key in content and not fits(content[key]):
            raise _refusal(code, where, key, content[key], wanted)


def _refusal(code: str, where: str, key: str, value: Any, wanted: str) -> PermanentError:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return PermanentError(f"{key} in {where} is {shown}; it must be {wanted}", code=code, param="model")
