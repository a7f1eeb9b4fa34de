"""Names of the tensors that an encoder of each model type has in a checkpoint, so that a missing one is found in the headers.

Called by :mod:`pruning.models.checks`. Torch-free: building the model on no device would say the same, after two seconds. Tensors
that only some configurations have (pooler, biases of decoders, convolution) are left to the trainer, which compares with the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EncoderTensors:
    """Of a model type."""

    prefix: str
    """Under which a model with a head stores the encoder."""
    embedding: str
    fixed: str
    """Names, apart by blanks; without ``.weight``, and with ``+b`` where there is a bias, too."""
    layer: str
    layers: str
    """Path of the repeated layers, and ``{i}``."""
    count: str = "num_hidden_layers"


_BERT_LAYER = (
    "attention.self.query+b attention.self.key+b attention.self.value+b attention.output.dense+b "
    "attention.output.LayerNorm+b intermediate.dense+b output.dense+b output.LayerNorm+b"
)
_BERT_FIXED = "embeddings.position_embeddings embeddings.token_type_embeddings embeddings.LayerNorm+b"
_WORDS = "embeddings.word_embeddings.weight"
_DECODER_LAYER = (
    "input_layernorm post_attention_layernorm self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj "
    "mlp.gate_proj mlp.up_proj mlp.down_proj"
)
_QWEN2_LAYER = _DECODER_LAYER.replace("q_proj", "q_proj+b").replace("k_proj", "k_proj+b").replace("v_proj", "v_proj+b")
_TABLE: dict[str, EncoderTensors] = {
    "albert": EncoderTensors(
        "albert", _WORDS, f"{_BERT_FIXED} encoder.embedding_hidden_mapping_in+b",
        "attention.query+b attention.key+b attention.value+b attention.dense+b attention.LayerNorm+b ffn+b ffn_output+b "
        "full_layer_layer_norm+b",
        "encoder.albert_layer_groups.{i}.albert_layers.0", "num_hidden_groups",
    ),
    "bert": EncoderTensors("bert", _WORDS, _BERT_FIXED, _BERT_LAYER, "encoder.layer.{i}"),
    "deberta-v2": EncoderTensors(
        "deberta", _WORDS, "embeddings.LayerNorm+b",
        "attention.self.query_proj+b attention.self.key_proj+b attention.self.value_proj+b attention.output.dense+b "
        "attention.output.LayerNorm+b intermediate.dense+b output.dense+b output.LayerNorm+b",
        "encoder.layer.{i}",
    ),
    "distilbert": EncoderTensors(
        "distilbert", _WORDS, "embeddings.position_embeddings embeddings.LayerNorm+b",
        "attention.q_lin+b attention.k_lin+b attention.v_lin+b attention.out_lin+b sa_layer_norm+b ffn.lin1+b ffn.lin2+b "
        "output_layer_norm+b",
        "transformer.layer.{i}", "n_layers",
    ),
    "electra": EncoderTensors("electra", _WORDS, _BERT_FIXED, _BERT_LAYER, "encoder.layer.{i}"),
    "llama": EncoderTensors("model", "embed_tokens.weight", "norm", _DECODER_LAYER, "layers.{i}"),
    "modernbert": EncoderTensors(
        "model", "embeddings.tok_embeddings.weight", "embeddings.norm final_norm", "attn.Wqkv attn.Wo mlp.Wi mlp.Wo mlp_norm",
        "layers.{i}",
    ),
    "mpnet": EncoderTensors(
        "mpnet", _WORDS, "embeddings.position_embeddings embeddings.LayerNorm+b encoder.relative_attention_bias",
        "attention.attn.q+b attention.attn.k+b attention.attn.v+b attention.attn.o+b attention.LayerNorm+b intermediate.dense+b "
        "output.dense+b output.LayerNorm+b",
        "encoder.layer.{i}",
    ),
    "qwen2": EncoderTensors("model", "embed_tokens.weight", "norm", _QWEN2_LAYER, "layers.{i}"),
    "qwen3": EncoderTensors(
        "model", "embed_tokens.weight", "norm", f"{_DECODER_LAYER} self_attn.q_norm self_attn.k_norm", "layers.{i}"
    ),
    "roberta": EncoderTensors("roberta", _WORDS, _BERT_FIXED, _BERT_LAYER, "encoder.layer.{i}"),
}  # fmt: skip
_MOST_LAYERS = 1000


def missing_tensors(config: dict[str, Any], names: set[str], decoder: str) -> list[str]:
    """Tensors of the encoder that are not among ``names`` of a checkpoint, as a model with a head calls them.

    The input embedding may be missing where it is tied to the output embedding ``decoder`` and that is there.
    """
    table = _TABLE[config["model_type"]]
    present = {_current_name(name) for name in names}
    missing = [name for name in _expected(table, config) if not _is_among(present, table, name)]
    tied = config.get("tie_word_embeddings", config["model_type"] not in ("llama", "qwen2", "qwen3"))
    if not _is_among(present, table, table.embedding) and not (tied and decoder in names):
        missing.insert(0, table.embedding)
    return [f"{table.prefix}.{name}" for name in missing]


def embedding_names(model_type: str, decoder: str) -> tuple[str, ...]:
    """Names under which a checkpoint may hold the table of word embeddings, the first one found counts."""
    table = _TABLE[model_type]
    return f"{table.prefix}.{table.embedding}", table.embedding, decoder


def layer_tensors(config: dict[str, Any]) -> list[str]:
    """Every name that :func:`missing_tensors` looks for, and the embedding."""
    table = _TABLE[config["model_type"]]
    return [f"{table.prefix}.{name}" for name in (table.embedding, *_expected(table, config))]


def _is_among(present: set[str], table: EncoderTensors, name: str) -> bool:
    return name in present or f"{table.prefix}.{name}" in present


def _expected(table: EncoderTensors, config: dict[str, Any]) -> Iterator[str]:
    yield from _spelled("", table.fixed)
    count = config.get(table.count, config.get("num_hidden_layers") if table.count == "n_layers" else 1)
    for i in range(
        min(count, _MOST_LAYERS) if type(count) is int else 1
    ):  # without a number the trainer's default decides
        yield from _spelled(table.layers.format(i=i) + ".", table.layer)


def _spelled(path: str, names: str) -> Iterator[str]:
    for name in names.split():
        bare = name.removesuffix("+b")
        yield f"{path}{bare}.weight"
        if bare != name:
            yield f"{path}{bare}.bias"


def _current_name(name: str) -> str:
    """The first checkpoints of BERT call weight and bias of a norm gamma and beta."""
    return (
        name.removesuffix("gamma") + "weight"
        if name.endswith(".gamma")
        else (name.removesuffix("beta") + "bias" if name.endswith(".beta") else name)
    )
