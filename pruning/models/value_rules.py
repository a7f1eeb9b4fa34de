"""Rules for values in a model folder's JSON files: types and ranges that the classes of transformers take, by key. Torch-free.

Applied by :mod:`pruning.models.folder_values`. Keys that are not listed here are left to transformers.
"""

import math
from collections.abc import Callable
from typing import Any

Rule = tuple[Callable[[Any], bool], str]
_MOST = 2**31 - 1
SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

_ACTIVATIONS = (
    "gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh gelu_pytorch_tanh hardswish laplace leaky_relu "
    "linear mish prelu quick_gelu relu relu2 relu6 sigmoid silu sqrtsoftplus swish tanh xielu"
).split()
LAYER_TYPES = ("full_attention", "sliding_attention")
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
    return isinstance(value, dict) and all(key in LAYER_TYPES and isinstance(each, dict) for key, each in value.items())


def _is_id(value: Any) -> bool:
    return type(value) is int


def or_null(rule: Rule) -> Rule:
    """The rule that also allows null."""
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


_COUNT: Rule = (_is_count, "a whole number of 1 or more")
SIZE: Rule = (_is_size, "a whole number of 0 or more")
_NUMBER: Rule = (_is_number, "a finite number")
_FRACTION: Rule = (lambda value: type(value) is float and math.isfinite(value), "a finite number with a decimal point")
_TEXT: Rule = (lambda value: isinstance(value, str), "text")
_OBJECT: Rule = (lambda value: isinstance(value, dict), "an object")
_NAMES: Rule = (_is_names, "a list of names")
_ID: Rule = (_is_id, "a whole number")
_IDS: Rule = (lambda value: _is_id(value) or (isinstance(value, list) and all(map(_is_id, value))), "an id or a list of ids")
_FLAG: Rule = (lambda value: isinstance(value, bool), "true or false")
_ACTIVATION: Rule = (lambda value: value in _ACTIVATIONS, "an activation such as gelu, relu or silu")
_DTYPE: Rule = (lambda value: isinstance(value, str) and value.removeprefix("torch.") in _DTYPES, "float32, float16 or bfloat16")
_LABELS: Rule = (_is_labels, 'an object of class names by id, {"0": "negative", …}')
SHARE: Rule = (_is_share, "a number from 0 to 1")
_TOKEN: Rule = (_is_token, "a token's text, or an object with it as content")

_ATTENTION = ("eager", "sdpa", "flash_attention_2", "flash_attention_3")
_PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")
CONFIG: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "hidden_size",
            "dim",
            "num_hidden_layers",
            "n_layers",
            "num_attention_heads",
            "n_heads",
            "intermediate_size",
            "hidden_dim",
            "vocab_size",
            "max_position_embeddings",
            "num_labels",
            "embedding_size",
            "num_hidden_groups",
            "inner_group_num",
            "relative_attention_num_buckets",
            "n_embd",
            "n_layer",
            "n_head",
            "n_positions",
            "intra_bottleneck_size",
            "num_feedforward_networks",
        ),
        _COUNT,
    ),
    **dict.fromkeys(("num_key_value_heads", "head_dim", "n_inner"), or_null(_COUNT)),
    **dict.fromkeys(("type_vocab_size", "chunk_size_feed_forward"), SIZE),
    **dict.fromkeys(
        ("local_attention", "position_buckets", "max_relative_positions", "max_window_layers", "sparse_pred_ignore_index"), _ID
    ),
    **dict.fromkeys(("bos_token_id", "cls_token_id", "sep_token_id", "pretraining_tp", "sliding_window"), or_null(_ID)),
    "eos_token_id": or_null(_IDS),
    **dict.fromkeys(("layer_norm_eps", "rms_norm_eps", "norm_eps", "initializer_cutoff_factor"), _FRACTION),
    "initializer_range": (lambda value: type(value) is float and 0 <= value <= 1, "a number with a decimal point from 0 to 1"),
    "layer_norm_epsilon": _NUMBER,
    "problem_type": or_null((lambda value: value in _PROBLEMS, f"one of {', '.join(_PROBLEMS)}")),
    "transformers_version": or_null(_TEXT),
    **dict.fromkeys(("classifier_activation", "summary_activation", "summary_type"), _TEXT),
    **dict.fromkeys(
        (
            "tie_word_embeddings",
            "is_decoder",
            "is_encoder_decoder",
            "add_cross_attention",
            "summary_use_proj",
            "attention_bias",
            "mlp_bias",
            "norm_bias",
            "classifier_bias",
            "decoder_bias",
            "legacy",
            "position_biased_input",
            "relative_attention",
            "sinusoidal_pos_embds",
            "sparse_prediction",
            "deterministic_flash_attn",
            "use_cache",
            "use_sliding_window",
        ),
        _FLAG,
    ),
    **dict.fromkeys(("return_dict", "output_hidden_states"), or_null(_FLAG)),
    **dict.fromkeys(("hidden_act", "activation", "hidden_activation", "pooler_hidden_act"), _ACTIVATION),
    **dict.fromkeys(("dtype", "torch_dtype"), or_null(_DTYPE)),
    **dict.fromkeys(("architectures", "layer_types"), or_null(_NAMES)),
    "attn_implementation": or_null((lambda value: value in _ATTENTION, f"one of {', '.join(_ATTENTION)}")),
    "classifier_pooling": (lambda value: value in ("cls", "mean"), "cls or mean"),
    "pos_att_type": or_null((lambda value: isinstance(value, str) or _is_names(value), "text or a list of texts")),
    **dict.fromkeys(("rope_parameters", "auto_map"), or_null(_OBJECT)),
    "id2label": or_null(_LABELS),
    "label2id": or_null((_is_ids_by_label, 'an object of ids by class name, {"negative": 0, …}')),
}
"""For fields of every supported model type, the types that the classes of transformers check."""
_GEMMA: dict[str, Rule] = {
    **dict.fromkeys(("num_key_value_heads", "head_dim"), _COUNT),
    "use_bidirectional_attention": or_null(_FLAG),
    "attention_dropout": SHARE,
}
OF_TYPE: dict[str, dict[str, Rule]] = {
    "distilbert": dict.fromkeys(("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"), SHARE),
    "modernbert": {
        **dict.fromkeys(("classifier_dropout", "attention_dropout"), SHARE),
        "rope_parameters": or_null((_is_by_layer_type, f"an object of objects, with keys of {' and '.join(LAYER_TYPES)}")),
    },
    "gemma": _GEMMA,
    "gemma2": {
        **_GEMMA,
        "query_pre_attn_scalar": _ID,
        **dict.fromkeys(("final_logit_softcapping", "attn_logit_softcapping"), or_null(_FRACTION)),
    },
    "gpt2": {
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_first_dropout"), SHARE),
        **dict.fromkeys(
            ("summary_proj_to_labels", "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"), _FLAG
        ),
        "activation_function": _ACTIVATION,
        "layer_norm_epsilon": _FRACTION,
        "summary_activation": or_null(_TEXT),
    },
    "gpt_neox": {
        **dict.fromkeys(("attention_dropout", "hidden_dropout", "classifier_dropout"), SHARE),
        "use_parallel_residual": _FLAG,
    },
    "mistral": {"attention_dropout": SHARE, "num_key_value_heads": _COUNT},
    "mobilebert": {
        **dict.fromkeys(
            ("classifier_activation", "trigram_input", "use_bottleneck", "use_bottleneck_attention", "key_query_shared_bottleneck"),
            _FLAG,
        ),
        "normalization_type": (lambda value: value in ("no_norm", "layer_norm"), "no_norm or layer_norm"),
    },
    "phi": {**dict.fromkeys(("resid_pdrop", "embd_pdrop"), SHARE), "qk_layernorm": _FLAG},
    "qwen2": {"attention_dropout": SHARE},
    "qwen3": {"attention_dropout": SHARE, "head_dim": _COUNT},
}
NEVER_NULL = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout_prob",
    "embedding_dropout",
    "mlp_dropout",
    "pooler_dropout",
    "summary_last_dropout",
)
TOKENIZER: dict[str, Rule] = {
    **dict.fromkeys(SPECIAL_TOKENS, _TOKEN),
    "tokenizer_class": or_null(_TEXT),
    "auto_map": (lambda value: isinstance(value, list | dict), "an object or a list"),
    **dict.fromkeys(("do_lower_case", "tokenize_chinese_chars"), _FLAG),
    "strip_accents": or_null(_FLAG),
    "extra_special_tokens": or_null((_is_extra, "a list or an object of tokens")),
    "model_max_length": (lambda value: value is None or (_is_number(value) and value >= 1), "a number of 1 or more"),
    "added_tokens_decoder": (_is_added, "an object of tokens by id"),
    "additional_special_tokens": (_is_tokens, "a list of tokens"),
    "padding_side": (lambda value: value in ("left", "right"), "left or right"),
}
