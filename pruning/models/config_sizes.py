"""Sizes of a model by its ``config.json``, with the defaults of transformers where a key is left out. Torch-free.

Called by :mod:`pruning.models.encoder_tensors`; a test compares them with the models that transformers builds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_BERT = {"vocab": 30522, "hidden": 768, "intermediate": 3072, "positions": 512, "types": 2, "layers": 12, "heads": 12}
_QWEN = {"vocab": 151936, "hidden": 4096, "intermediate": 22016, "layers": 32, "heads": 32, "key_heads": 32}
_DEFAULTS: dict[str, dict[str, int]] = {
    "albert": {"vocab": 30000, "embedding": 128, "hidden": 4096, "intermediate": 16384, "positions": 512, "types": 2, "layers": 1,
               "heads": 64},
    "bert": _BERT,
    "deberta-v2": {"vocab": 128100, "hidden": 1536, "intermediate": 6144, "positions": 512, "types": 0, "layers": 24, "heads": 24},
    "distilbert": _BERT | {"layers": 6},
    "electra": _BERT | {"embedding": 128, "hidden": 256, "intermediate": 1024, "heads": 4},
    "llama": {"vocab": 32000, "hidden": 4096, "intermediate": 11008, "layers": 32, "heads": 32},
    "modernbert": {"vocab": 50368, "hidden": 768, "intermediate": 1152, "layers": 22, "heads": 12},
    "mpnet": _BERT | {"vocab": 30527, "buckets": 32},
    "qwen2": _QWEN,
    "qwen3": _QWEN | {"head": 128},
    "roberta": _BERT | {"vocab": 50265},
}  # fmt: skip
_PADDING = {"llama": None, "modernbert": 50283, "mpnet": 1, "qwen2": None, "qwen3": None, "roberta": 1}
"""Ids of padding tokens that are not 0."""
_KEYS = {
    "vocab": ("vocab_size",), "embedding": ("embedding_size",), "hidden": ("hidden_size",), "intermediate": ("intermediate_size",),
    "positions": ("max_position_embeddings",), "types": ("type_vocab_size",), "layers": ("num_hidden_layers",),
    "heads": ("num_attention_heads",), "key_heads": ("num_key_value_heads",), "head": ("head_dim", "attention_head_size"),
    "buckets": ("relative_attention_num_buckets",), "inner": (),
}  # fmt: skip
_OTHER_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "albert": {"layers": ("num_hidden_groups",), "inner": ("inner_group_num",)},  # layers share the weights of their group
    "distilbert": {
        "hidden": ("dim", "hidden_size"), "intermediate": ("hidden_dim",), "layers": ("n_layers", "num_hidden_layers"),
        "heads": ("n_heads", "num_attention_heads"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Of a model."""

    layers: int
    """Repeated layers with weights of their own."""
    inner_layers: int
    """Of which each of them consists."""
    hidden: int
    heads: int
    vocab: int
    padding: int | None
    """Id of the padding token where the configuration names none."""
    _letters: Mapping[str, int]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Values that are no whole numbers count as left out; :func:`pruning.models.folder_values.check_config` refuses them."""
        model_type = config["model_type"]
        defaults, other = _DEFAULTS[model_type], _OTHER_KEYS.get(model_type, {})

        def size(name: str, otherwise: int = 1) -> int:
            given = (config.get(key) for key in other.get(name, _KEYS[name]))
            return next((value for value in given if type(value) is int), defaults.get(name, otherwise))

        hidden, heads, intermediate = size("hidden"), size("heads"), size("intermediate")
        head = size("head", hidden // max(1, heads))
        letters = {
            "V": size("vocab"), "P": size("positions"), "T": size("types", 0), "E": size("embedding", hidden), "H": hidden,
            "I": intermediate, "Q": heads * head, "K": size("key_heads", heads) * head, "D": head, "A": heads,
            "B": size("buckets"), "3": 3 * hidden, "2": 2 * intermediate,
        }  # fmt: skip
        return cls(size("layers"), size("inner"), hidden, heads, letters["V"], _PADDING.get(model_type, 0), letters)

    def shape(self, letters: str) -> tuple[int, ...]:
        """Of a tensor: V words, P positions, T segments, E widths of embeddings, H of states, I of feed-forward parts, Q and K of
        all queries and keys, D of one head, A heads, B buckets of distances; ``3`` is 3H, and ``2`` is 2I."""
        return tuple(self._letters[letter] for letter in letters)
