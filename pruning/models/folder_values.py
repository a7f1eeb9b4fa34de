"""Values in the JSON files of a model folder, checked for the types and ranges that transformers takes. Torch-free.

Called by :mod:`pruning.models.checks`, so that a folder is refused at submission, by file and key, for what would otherwise end the
trainer when it loads the model.
"""

import json
from pathlib import Path
from typing import Any

from pruning.errors import PermanentError
from pruning.models.config_sizes import Sizes
from pruning.models.value_rules import (
    CONFIG,
    LAYER_TYPES,
    NEVER_NULL,
    OF_TYPE,
    SHARE,
    SIZE,
    SPECIAL_TOKENS,
    TOKENIZER,
    Rule,
    or_null,
)


def is_dropout(key: str) -> bool:
    """Whether a field of a configuration is a dropout probability; GPT-2 and Phi call theirs ``resid_pdrop`` and so on."""
    return "dropout" in key or key.endswith("_pdrop")


def caps_logits(config: dict[str, Any]) -> bool:
    """Whether a model caps its logits, which then are not linear in its states."""
    default = 30.0 if config["model_type"] == "gemma2" else None  # transformers', where the key is missing
    return config.get("final_logit_softcapping", default) is not None


def check_config(config: dict[str, Any], name: str) -> None:
    """Refuse a configuration whose values no model can have. Raises PermanentError (``model_config_invalid``)."""
    where = f"config.json of model {name!r}"
    shares = {key: SHARE if key in NEVER_NULL else or_null(SHARE) for key in config if is_dropout(key)}
    _check("model_config_invalid", where, config, CONFIG | shares | OF_TYPE.get(config["model_type"], {}))
    sizes = Sizes.from_config(config)
    padding = config.get("pad_token_id", sizes.padding)
    if padding is not None and (type(padding) is not int or not -sizes.vocab <= padding < sizes.vocab):
        raise _refusal("model_config_invalid", where, "pad_token_id", padding, f"an id of its {sizes.vocab} tokens")
    kinds = config.get("layer_types")
    if kinds is not None and (len(kinds) != sizes.layers or not set(kinds) <= set(LAYER_TYPES)):
        wanted = f"{' or '.join(LAYER_TYPES)} for each of its {sizes.layers} layers"
        raise _refusal("model_config_invalid", where, "layer_types", kinds, wanted)
    if sizes.attention % sizes.heads and config.get("head_dim") is None:
        raise _refusal(
            "model_config_invalid",
            where,
            "number of attention heads",
            sizes.heads,
            f"a divisor of its {sizes.attention} dimensions",
        )


def check_tokenizer_files(path: Path, model: str) -> None:
    """Refuse side files of a tokenizer that transformers could not read. Raises PermanentError (``tokenizer_invalid``)."""
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        where, content = f"{name} of model {model!r}", _read(path / name, model)
        if name == "added_tokens.json":
            _check("tokenizer_invalid", where, content, dict.fromkeys(content, SIZE))
        else:
            _check("tokenizer_invalid", where, content, TOKENIZER)
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


def _check(code: str, where: str, content: dict[str, Any], rules: dict[str, Rule]) -> None:
    for key, (fits, wanted) in rules.items():
        if key in content and not fits(content[key]):
            raise _refusal(code, where, key, content[key], wanted)


def _refusal(code: str, where: str, key: str, value: Any, wanted: str) -> PermanentError:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return PermanentError(f"{key} in {where} is {shown}; it must be {wanted}", code=code, param="model")
