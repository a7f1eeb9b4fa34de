"""Sizes of a model by its ``config.json``, with the defaults of transformers where a key is left out. Torch-free.

Called by :mod:`pruning.models.encoder_tensors`; a test compares them with the models that transformers builds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_BERT = {"vocab": 30522, "hidden": 768, "intermediate": 3072, "positions": 512, "types": 2, "layers": 12, "heads": 12}
_QWEN = {"vocab": 151936, "hidden": 4096, "intermediate": 22016, "layers": 32, "heads": 32, "key_heads": 32}
_DEFAULTS: dict[str, dict[str, int]] = {
    "albert": {
        "vocab": 30000,
        "embedding": 128,
        "hidden": 4096,
        "intermediate": 16384,
        "positions": 512,
        "types": 2,
        "layers": 1,
        "heads": 64,
    },
    "bert": _BERT,
    "camembert": _BERT,
    "deberta-v2": {"vocab": 128100, "hidden": 1536, "intermediate": 6144, "positions": 512, "types": 0, "layers": 24, "heads": 24},
    "distilbert": _BERT | {"layers": 6},
    "electra": _BERT | {"embedding": 128, "hidden": 256, "intermediate": 1024, "heads": 4},
    "gemma": {"vocab": 256000, "hidden": 3072, "intermediate": 24576, "layers": 28, "heads": 16, "key_heads": 16, "head": 256},
    "gemma2": {"vocab": 256000, "hidden": 2304, "intermediate": 9216, "layers": 26, "heads": 8, "key_heads": 4, "head": 256},
    "gpt2": {"vocab": 50257, "hidden": 768, "positions": 1024, "layers": 12, "heads": 12},
    "gpt_neox": {"vocab": 50432, "hidden": 6144, "intermediate": 24576, "layers": 44, "heads": 64},
    "llama": {"vocab": 32000, "hidden": 4096, "intermediate": 11008, "layers": 32, "heads": 32},
    "mistral": {"vocab": 32000, "hidden": 4096, "intermediate": 14336, "layers": 32, "heads": 32, "key_heads": 8},
    "mobilebert": _BERT
    | {"embedding": 128, "hidden": 512, "intermediate": 512, "layers": 24, "heads": 4, "bottleneck": 128, "inner": 4},
    "modernbert": {"vocab": 50368, "hidden": 768, "intermediate": 1152, "layers": 22, "heads": 12},
    "mpnet": _BERT | {"vocab": 30527, "buckets": 32},
    "phi": {"vocab": 51200, "hidden": 2048, "intermediate": 8192, "layers": 24, "heads": 32},
    "qwen2": _QWEN,
    "qwen3": _QWEN | {"head": 128},
    "roberta": _BERT | {"vocab": 50265},
    "xlm-roberta": _BERT,
}
_PADDING = {
    **dict.fromkeys(("gpt2", "gpt_neox", "llama", "mistral", "phi", "qwen2", "qwen3")),
    **dict.fromkeys(("camembert", "mpnet", "roberta", "xlm-roberta"), 1),
    "modernbert": 50283,
}
"""Ids of padding tokens that are not 0."""
_KEYS = {
    "vocab": ("vocab_size",),
    "embedding": ("embedding_size",),
    "hidden": ("hidden_size",),
    "intermediate": ("intermediate_size",),
    "positions": ("max_position_embeddings",),
    "types": ("type_vocab_size",),
    "layers": ("num_hidden_layers",),
    "heads": ("num_attention_heads",),
    "key_heads": ("num_key_value_heads",),
    "head": ("head_dim", "attention_head_size"),
    "buckets": ("relative_attention_num_buckets",),
    "inner": (),
    "bottleneck": ("intra_bottleneck_size",),
}
_OTHER_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "albert": {"layers": ("num_hidden_groups",), "inner": ("inner_group_num",)},  # layers share the weights of their group
    "distilbert": {
        "hidden": ("dim", "hidden_size"),
        "intermediate": ("hidden_dim",),
        "layers": ("n_layers", "num_hidden_layers"),
        "heads": ("n_heads", "num_attention_heads"),
    },
    "gpt2": {
        "hidden": ("n_embd", "hidden_size"),
        "intermediate": ("n_inner",),
        "layers": ("n_layer", "num_hidden_layers"),
        "heads": ("n_head", "num_attention_heads"),
        "positions": ("n_positions", "max_position_embeddings"),
    },
    "mobilebert": {"inner": ("num_feedforward_networks",)},
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model."""

    layers: int
    """Repeated layers with weights of their own."""
    inner_layers: int
    """Inner layers of each repeated layer."""
    hidden: int
    heads: int
    attention: int
    """Width that the heads divide among them; of MobileBERT that of the bottleneck."""
    vocab: int
    padding: int | None
    """Id of the padding token where the configuration names none."""
    _letters: Mapping[str, int]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Values that are not whole numbers count as left out; :func:`pruning.models.folder_values.check_config` refuses them."""
        model_type = config["model_type"]
        defaults, other = _DEFAULTS[model_type], _OTHER_KEYS.get(model_type, {})

        def size(name: str, otherwise: int = 1) -> int:
            given = (config.get(key) for key in other.get(name, _KEYS[name]))
            return next((value for value in given if type(value) is int), defaults.get(name, otherwise))

        hidden, heads = size("hidden"), size("heads")
        intermediate = size("intermediate", 4 * hidden)
        head = size("head", hidden // max(1, heads))
        key_heads = heads if config.get("num_key_value_heads", 1) is None else size("key_heads", heads)
        embedding = size("embedding", hidden)
        narrow = size("bottleneck", hidden) if config.get("use_bottleneck", True) else hidden
        letters = {
            "V": size("vocab"),
            "P": size("positions"),
            "T": size("types", 0),
            "E": embedding,
            "H": hidden,
            "I": intermediate,
            "Q": heads * head,
            "K": key_heads * head,
            "D": head,
            "A": heads,
            "B": size("buckets"),
            "3": 3 * hidden,
            "2": 2 * intermediate,
            "N": narrow,
            "U": narrow if config.get("use_bottleneck_attention", False) else hidden,
            "R": hidden - embedding,
            "G": 3 * embedding if config.get("trigram_input", True) else embedding,
        }
        return cls(size("layers"), size("inner"), hidden, heads, narrow, letters["V"], _PADDING.get(model_type, 0), letters)

    def shape(self, letters: str) -> tuple[int, ...]:
        """Shape of a tensor: V words, P positions, T segments, E widths of embeddings, H of states, I of feed-forward parts, Q and
        K of all queries and keys, D of one head, A heads, B buckets of distances; ``3`` is 3H, and ``2`` is 2I. Of MobileBERT: N
        inside a bottleneck, U of what values are made from, R of states beyond the embeddings' width, G of three neighbouring
        embeddings.
        """
        return tuple(self._letters[letter] for letter in letters)
