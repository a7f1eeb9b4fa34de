"""Values in the JSON files of a model folder, checked for the types and ranges that transformers takes. Torch-free.

Called by :mod:`pruning.models.checks`, so that a folder is refused at submission, by file and key, for what would otherwise end the
trainer when it loads the model. Keys that are not listed here are left to transformers.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pruning.errors import PermanentError

_Rule = tuple[Callable[[Any], bool], str]
_MOST = 2**31 - 1
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

_ACTIVATIONS = (
    "gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh hardswish laplace leaky_relu "
    "linear mish prelu quick_gelu relu relu2 relu6 sigmoid silu sqrtsoftplus swish tanh xielu"
).split()
_DTYPES = ("float32", "float16", "bfloat16", "float64", "float", "half", "double", "auto")
_EMBEDDINGS = {
    "word_embeddings.weight": "vocab_size",
    "token_type_embeddings.weight": "type_vocab_size",
    "position_embeddings.weight": "max_position_embeddings",
}


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_share(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and 0 <= value <= 1)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_names(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value))


def _is_labels(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(_is_decimal(key) for key in value))


def _is_tokens(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(_is_token(token) for token in value))


def _is_token(value: Any) -> bool:
    return value is None or isinstance(value.get("content") if isinstance(value, dict) else value, str)


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
_TEXT: _Rule = (lambda value: value is None or isinstance(value, str), "text")
_OBJECT: _Rule = (lambda value: value is None or isinstance(value, dict), "an object")
_FLAG: _Rule = (lambda value: isinstance(value, bool), "true or false")
_ACTIVATION: _Rule = (lambda value: value in _ACTIVATIONS, "an activation such as gelu, relu or silu")
_DTYPE: _Rule = (
    lambda value: value is None or (isinstance(value, str) and value.removeprefix("torch.") in _DTYPES),
    "float32, float16 or bfloat16",
)
_LABELS: _Rule = (_is_labels, 'an object of class names by id, {"0": "negative", …}')
_SHARE: _Rule = (_is_share, "a number from 0 to 1")
_TOKEN: _Rule = (_is_token, "a token's text, or an object with it as content")

_CONFIG: dict[str, _Rule] = {
    **dict.fromkeys(
        ("hidden_size", "dim", "num_hidden_layers", "n_layers", "num_attention_heads", "n_heads", "intermediate_size",
         "hidden_dim", "vocab_size", "max_position_embeddings", "num_labels"), _COUNT,
    ),
    **dict.fromkeys(("type_vocab_size", "chunk_size_feed_forward"), _SIZE),
    **dict.fromkeys(("layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps", "norm_eps", "initializer_range"), _NUMBER),
    **dict.fromkeys(("problem_type", "transformers_version"), _TEXT),
    **dict.fromkeys(("tie_word_embeddings", "is_decoder", "add_cross_attention", "summary_use_proj"), _FLAG),
    **dict.fromkeys(("hidden_act", "activation", "hidden_activation"), _ACTIVATION),
    **dict.fromkeys(("dtype", "torch_dtype"), _DTYPE),
    "architectures": (_is_names, "a list of class names"),
    "id2label": _LABELS,
    "label2id": _OBJECT,
}  # fmt: skip
_TOKENIZER: dict[str, _Rule] = {
    **dict.fromkeys(SPECIAL_TOKENS, _TOKEN),
    "tokenizer_class": _TEXT,
    "auto_map": _OBJECT,
    "model_max_length": (lambda value: value is None or (_is_number(value) and value >= 1), "a number of 1 or more"),
    "added_tokens_decoder": (_is_added, "an object of tokens by id"),
    "additional_special_tokens": (_is_tokens, "a list of tokens"),
    "padding_side": (lambda value: value in ("left", "right"), "left or right"),
}


def check_config(config: dict[str, Any], name: str) -> None:
    """Refuse a configuration whose values no model can have. Raises PermanentError (``model_config_invalid``)."""
    where = f"config.json of model {name!r}"
    _check("model_config_invalid", where, config, _CONFIG)
    _check("model_config_invalid", where, config, {key: _SHARE for key in config if "dropout" in key})
    rows, padding = config.get("vocab_size"), config.get("pad_token_id")
    if padding is not None and (type(padding) is not int or (rows is not None and not -rows <= padding < rows)):
        raise _refusal("model_config_invalid", where, "pad_token_id", padding, f"an id of its {rows} tokens")
    width = config.get("hidden_size", config.get("dim"))
    heads = config.get("num_attention_heads", config.get("n_heads"))
    if width and heads and width % heads and config.get("head_dim") is None:
        raise _refusal(
            "model_config_invalid", where, "number of attention heads", heads, f"a divisor of its {width} dimensions"
        )


def check_shapes(config: dict[str, Any], tensors: Mapping[str, tuple[int, ...]], name: str) -> None:
    """Refuse embeddings of another length than the configuration says. Raises PermanentError (``model_weights_incomplete``)."""
    for tensor, shape in tensors.items():
        key = _EMBEDDINGS.get(".".join(tensor.split(".")[-2:]), "")
        if config.get(key) is not None and shape[:1] != (config[key],):
            raise PermanentError(
                f"{tensor} of model {name!r} has the shape {list(shape)}, and config.json says {key} {config[key]}; "
                "store the checkpoint again",
                code="model_weights_incomplete", param="model",
            )  # fmt: skip


def check_tokenizer_files(path: Path, model: str) -> None:
    """Refuse side files of a tokenizer that transformers could not read. Raises PermanentError (``tokenizer_invalid``)."""
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        where, content = f"{name} of model {model!r}", _read(path / name, model)
        if name == "added_tokens.json":
            _check("tokenizer_invalid", where, content, dict.fromkeys(content, _SIZE))
        else:
            _check("tokenizer_invalid", where, content, _TOKENIZER)


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
