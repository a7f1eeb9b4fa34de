"""Names and shapes of the tensors that a model of each type has in a checkpoint, to be compared with the headers of a file.

Called by :mod:`pruning.models.checks`. Torch-free: building the model on no device would say the same, after two seconds. Tensors
that only some configurations have (pooler, biases of decoders, convolution) are left to the trainer, which compares with the model.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from pruning.models.config_sizes import Sizes


@dataclass(frozen=True)
class EncoderTensors:
    """Tensors of a model type."""

    prefix: str
    """Prefix under which a model with a head stores the encoder."""
    embedding: str
    fixed: str
    """Names, apart by blanks, each with its shape in the letters of :class:`Sizes`; without ``.weight``, and with ``+b`` where
    there is a bias, too; ``+c`` is that of a Conv1D, whose weight is [in, out]."""
    layer: str
    layers: str
    """Path of the repeated layers with ``{i}``, and ``{j}`` for one of those that make up a layer."""
    head: str = ""
    """Like ``fixed``, for the language-model head, with complete names."""
    projection: str = ""
    """Like ``fixed``, for a model whose embeddings are of another width than its states."""
    inner: str = ""
    """Like ``layer``, for feed-forward networks in addition to the first one of each layer, ``ffn.{j}``."""
    tied: bool = True
    """Whether the output embedding is the input embedding where the configuration does not say so."""


_BERT_LAYER = (
    "attention.self.query:HH+b attention.self.key:HH+b attention.self.value:HH+b attention.output.dense:HH+b "
    "attention.output.LayerNorm:H+b intermediate.dense:IH+b output.dense:HI+b output.LayerNorm:H+b"
)
_BERT_FIXED = "embeddings.position_embeddings:PE embeddings.token_type_embeddings:TE embeddings.LayerNorm:E+b"
_BERT_HEAD = "cls.predictions.transform.dense:HH+b cls.predictions.transform.LayerNorm:H+b"
_ROBERTA_HEAD = "lm_head.dense:HH+b lm_head.layer_norm:H+b"
_WORDS = "embeddings.word_embeddings.weight:VE"
_DECODER_LAYER = (
    "input_layernorm:H post_attention_layernorm:H self_attn.q_proj:QH self_attn.k_proj:KH self_attn.v_proj:KH self_attn.o_proj:HQ "
    "mlp.gate_proj:IH mlp.up_proj:IH mlp.down_proj:HI"
)
_QWEN2_LAYER = _DECODER_LAYER.replace(":QH", ":QH+b").replace(":KH", ":KH+b")
_ROBERTA = EncoderTensors("roberta", _WORDS, _BERT_FIXED, _BERT_LAYER, "encoder.layer.{i}", _ROBERTA_HEAD)
_LLAMA = EncoderTensors("model", "embed_tokens.weight:VH", "norm:H", _DECODER_LAYER, "layers.{i}", tied=False)
_TABLE: dict[str, EncoderTensors] = {
    "albert": EncoderTensors(
        "albert",
        _WORDS,
        f"{_BERT_FIXED} encoder.embedding_hidden_mapping_in:HE+b",
        "attention.query:HH+b attention.key:HH+b attention.value:HH+b attention.dense:HH+b attention.LayerNorm:H+b ffn:IH+b "
        "ffn_output:HI+b full_layer_layer_norm:H+b",
        "encoder.albert_layer_groups.{i}.albert_layers.{j}",
        "predictions.dense:EH+b predictions.LayerNorm:E+b",
    ),
    "bert": EncoderTensors("bert", _WORDS, _BERT_FIXED, _BERT_LAYER, "encoder.layer.{i}", _BERT_HEAD),
    "camembert": _ROBERTA,
    "deberta-v2": EncoderTensors(
        "deberta",
        _WORDS,
        "embeddings.LayerNorm:H+b",
        "attention.self.query_proj:QH+b attention.self.key_proj:QH+b attention.self.value_proj:QH+b attention.output.dense:HH+b "
        "attention.output.LayerNorm:H+b intermediate.dense:IH+b output.dense:HI+b output.LayerNorm:H+b",
        "encoder.layer.{i}",
        _BERT_HEAD,
    ),
    "distilbert": EncoderTensors(
        "distilbert",
        _WORDS,
        "embeddings.position_embeddings:PE embeddings.LayerNorm:E+b",
        "attention.q_lin:HH+b attention.k_lin:HH+b attention.v_lin:HH+b attention.out_lin:HH+b sa_layer_norm:H+b ffn.lin1:IH+b "
        "ffn.lin2:HI+b output_layer_norm:H+b",
        "transformer.layer.{i}",
        "vocab_transform:HH+b vocab_layer_norm:H+b",
    ),
    "electra": EncoderTensors(
        "electra",
        _WORDS,
        _BERT_FIXED,
        _BERT_LAYER,
        "encoder.layer.{i}",
        "generator_predictions.dense:EH+b generator_predictions.LayerNorm:E+b",
        "embeddings_project:HE+b",
    ),
    "gemma": EncoderTensors("model", "embed_tokens.weight:VH", "norm:H", _DECODER_LAYER, "layers.{i}"),
    "gemma2": EncoderTensors(
        "model",
        "embed_tokens.weight:VH",
        "norm:H",
        f"{_DECODER_LAYER} pre_feedforward_layernorm:H post_feedforward_layernorm:H",
        "layers.{i}",
    ),
    "gpt2": EncoderTensors(
        "transformer",
        "wte.weight:VH",
        "wpe:PH ln_f:H+b",
        "ln_1:H+b attn.c_attn:H3+c attn.c_proj:HH+c ln_2:H+b mlp.c_fc:HI+c mlp.c_proj:IH+c",
        "h.{i}",
    ),
    "gpt_neox": EncoderTensors(
        "gpt_neox",
        "embed_in.weight:VH",
        "final_layer_norm:H+b",
        "input_layernorm:H+b post_attention_layernorm:H+b attention.query_key_value:3H attention.dense:HH "
        "mlp.dense_h_to_4h:IH+b mlp.dense_4h_to_h:HI+b",
        "layers.{i}",
        tied=False,
    ),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "mobilebert": EncoderTensors(
        "mobilebert",
        _WORDS,
        "embeddings.position_embeddings:PH embeddings.token_type_embeddings:TH embeddings.embedding_transformation:HG+b "
        "embeddings.LayerNorm:H+b",
        "attention.self.query:NN+b attention.self.key:NN+b attention.self.value:NU+b attention.output.dense:NN+b "
        "attention.output.LayerNorm:N+b intermediate.dense:IN+b output.dense:NI+b output.LayerNorm:N+b",
        "encoder.layer.{i}",
        f"{_BERT_HEAD} cls.predictions.dense:RV",
        inner="intermediate.dense:IN+b output.dense:NI+b output.LayerNorm:N+b",
    ),
    "modernbert": EncoderTensors(
        "model",
        "embeddings.tok_embeddings.weight:VH",
        "embeddings.norm:H final_norm:H",
        "attn.Wqkv:3H attn.Wo:HH mlp.Wi:2H mlp.Wo:HI mlp_norm:H",
        "layers.{i}",
        "head.dense:HH head.norm:H",
    ),
    "mpnet": EncoderTensors(
        "mpnet",
        _WORDS,
        "embeddings.position_embeddings:PE embeddings.LayerNorm:E+b encoder.relative_attention_bias:BA",
        "attention.attn.q:HH+b attention.attn.k:HH+b attention.attn.v:HH+b attention.attn.o:HH+b attention.LayerNorm:H+b "
        "intermediate.dense:IH+b output.dense:HI+b output.LayerNorm:H+b",
        "encoder.layer.{i}",
        _ROBERTA_HEAD,
    ),
    "phi": EncoderTensors(
        "model",
        "embed_tokens.weight:VH",
        "final_layernorm:H+b",
        "input_layernorm:H+b self_attn.q_proj:QH+b self_attn.k_proj:KH+b self_attn.v_proj:KH+b self_attn.dense:HQ+b "
        "mlp.fc1:IH+b mlp.fc2:HI+b",
        "layers.{i}",
        tied=False,
    ),
    "qwen2": EncoderTensors("model", "embed_tokens.weight:VH", "norm:H", _QWEN2_LAYER, "layers.{i}", tied=False),
    "qwen3": EncoderTensors(
        "model",
        "embed_tokens.weight:VH",
        "norm:H",
        f"{_DECODER_LAYER} self_attn.q_norm:D self_attn.k_norm:D",
        "layers.{i}",
        tied=False,
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
_MOST_LAYERS = 1000
Shape = tuple[int, ...]


def missing_tensors(config: Mapping[str, Any], tensors: Mapping[str, Shape], decoder: str, *, with_head: bool) -> list[str]:
    """Tensors of the encoder, and of the language-model head, that are not among ``tensors`` of a checkpoint.

    Named as in a model with a head. The input embedding may be missing where it is tied to the output embedding ``decoder`` and
    that is there.
    """
    table, present = _TABLE[config["model_type"]], _current_names(tensors)
    missing = [name for name in _encoder(table, config) if _find(present, table, name) is None]
    embedding = table.embedding.partition(":")[0]
    if _find(present, table, embedding) is None and not (is_tied(config) and decoder in tensors):
        missing.insert(0, embedding)
    head = [name for name in _head(table, config) if name not in present] if with_head else []
    return [*(f"{table.prefix}.{name}" for name in missing), *head]


def is_tied(config: Mapping[str, Any]) -> bool:
    """Whether the output embedding is the input embedding."""
    return bool(config.get("tie_word_embeddings", _TABLE[config["model_type"]].tied))


def misshapen_tensors(
    config: Mapping[str, Any], tensors: Mapping[str, Shape], *, with_head: bool
) -> Iterator[tuple[str, Shape, Shape]]:
    """Name, shape and expected shape of the tensors that :func:`missing_tensors` looks for and that are of another shape."""
    table, present = _TABLE[config["model_type"]], _current_names(tensors)
    expected = encoder_shapes(config) | (head_shapes(config) if with_head else {})
    for name, shape in expected.items():
        found = _find(present, table, name.removeprefix(f"{table.prefix}."))
        if found is not None and found != shape:
            yield name, found, shape


def embedding_names(model_type: str, decoder: str) -> tuple[str, ...]:
    """Names under which a checkpoint may hold the table of word embeddings, the first one found counts."""
    table = _TABLE[model_type]
    embedding = table.embedding.partition(":")[0]
    return f"{table.prefix}.{embedding}", embedding, decoder


def encoder_shapes(config: Mapping[str, Any]) -> dict[str, Shape]:
    """Shapes of the tensors of the encoder that :func:`missing_tensors` looks for, the embedding first."""
    table = _TABLE[config["model_type"]]
    expected = dict(_spelled(config, "", table.embedding)) | _encoder(table, config)
    return {f"{table.prefix}.{name}": shape for name, shape in expected.items()}


def masked_matrices(config: Mapping[str, Any], tensors: Mapping[str, Shape]) -> dict[str, tuple[int, int]]:
    """Module path → (out, in) of the linear layers inside the repeated layers, which masks apply to, as a mask file names them.

    By names and shapes of the ``tensors`` of a checkpoint: matrices called ``weight`` in layers that the configuration has, except
    for embeddings. With or without the encoder's prefix in their names.
    """
    table, sizes, found = _TABLE[config["model_type"]], Sizes.from_config(config), {}
    layer = re.compile(re.escape(table.layers).replace(r"\{i\}", r"(\d+)").replace(r"\{j\}", r"(\d+)") + r"\.")
    transposed = "+c" in table.layer
    for name, shape in tensors.items():
        path = name.removeprefix(f"{table.prefix}.")
        inside = layer.match(path)
        if inside is None or not path.endswith(".weight") or len(shape) != 2 or "embed" in path:
            continue
        numbers = [int(number) for number in inside.groups()]
        if all(number < limit for number, limit in zip(numbers, (sizes.layers, sizes.inner_layers), strict=False)):
            rows, columns = reversed(shape) if transposed else shape
            found[f"{table.prefix}.{path.removesuffix('.weight')}"] = (rows, columns)
    return found


def head_shapes(config: Mapping[str, Any]) -> dict[str, Shape]:
    """Module path → (out, in) of the linear layers of the language-model head, without its output embedding."""
    return _head(_TABLE[config["model_type"]], config)


def _find(present: Mapping[str, Shape], table: EncoderTensors, name: str) -> Shape | None:
    return present.get(f"{table.prefix}.{name}", present.get(name))


def _encoder(table: EncoderTensors, config: Mapping[str, Any]) -> dict[str, Shape]:
    found = dict(_spelled(config, "", table.fixed))
    sizes = Sizes.from_config(config)
    if sizes.shape("E") != sizes.shape("H"):
        found |= _spelled(config, "", table.projection)
    for i, j in product(range(min(sizes.layers, _MOST_LAYERS)), range(min(sizes.inner_layers, _MOST_LAYERS))):
        path = table.layers.format(i=i, j=j) + "."
        found |= _spelled(config, f"{path}ffn.{j - 1}.", table.inner) if j and table.inner else _spelled(config, path, table.layer)
    return found


def _head(table: EncoderTensors, config: Mapping[str, Any]) -> dict[str, Shape]:
    return dict(_spelled(config, "", table.head))


def _spelled(config: Mapping[str, Any], path: str, names: str) -> Iterator[tuple[str, Shape]]:
    sizes = Sizes.from_config(config)
    for entry in names.split():
        name, _, letters = entry.removesuffix("+b").removesuffix("+c").partition(":")
        shape = sizes.shape(letters)
        yield f"{path}{name.removesuffix('.weight')}.weight", shape
        if entry.endswith(("+b", "+c")):
            yield f"{path}{name}.bias", shape[:1] if entry.endswith("+b") else shape[1:]


def _current_names(tensors: Mapping[str, Shape]) -> dict[str, Shape]:
    """The first checkpoints of BERT call weight and bias of a norm gamma and beta."""
    found = {}
    for name, shape in tensors.items():
        for former, current in ((".gamma", ".weight"), (".beta", ".bias")):
            if name.endswith(former):
                found[name.removesuffix(former) + current] = shape
                break
        else:
            found[name] = shape
    return found
