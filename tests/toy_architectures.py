"""Toy models of architectures beyond :data:`tests.toy_models.SHAPES`, and fine-tuned models that serve as teachers.

Random weights in real folders, as ``save_pretrained`` writes them, with the tokenizers of :mod:`tests.toy_models`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, processors
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    MPNetConfig,
    MPNetForMaskedLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests import toy_models
from tests.toy_models import HIDDEN, INTERMEDIATE, LAYERS, POSITIONS

DECODERS = ("llama", "qwen2", "qwen3")
ENCODERS = (*toy_models.SHAPES, "albert", "deberta-v2", "deberta-v3", "modernbert", "mpnet")
HEADLESS = "minilm"
"""A BERT encoder saved without any head, as sentence encoders are."""
ALL = (*ENCODERS, HEADLESS, *DECODERS)
SPREAD = 0.15
COMMON: dict[str, Any] = {
    "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": INTERMEDIATE,
    "initializer_range": SPREAD,
}  # fmt: skip
PADDED = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}


def make_model(folder: Path, shape: str, *, seed: int = 0, dropout: float = 0.1) -> Path:
    """A model folder of ``shape`` (one of ALL): weights, configuration, tokenizer."""
    if shape in toy_models.SHAPES:
        return toy_models.make_model(folder, shape, seed=seed, dropout=dropout)
    tokenizer, about = _causal_tokenizer(shape) if shape in DECODERS else _masked_tokenizer(shape)
    return _write(folder, lambda: _BUILD[shape](tokenizer.get_vocab_size(), dropout), tokenizer, about, seed)


def make_classifier(folder: Path, names: Sequence[str], *, seed: int = 3, tokenizer: Tokenizer | None = None) -> Path:
    """A fine-tuned BERT classifier whose outputs are called ``names``, in order."""
    tokenizer = tokenizer or toy_models.word_pieces()

    def build() -> PreTrainedModel:
        labels = dict(enumerate(names))
        config = _bert_config(tokenizer.get_vocab_size(), 0.1)
        config.num_labels, config.id2label, config.label2id = len(names), labels, {v: k for k, v in labels.items()}
        return BertForSequenceClassification(config)

    return _write(folder, build, tokenizer, _masked_config("bert"), seed)


def make_span_model(folder: Path, *, seed: int = 3, positions: int = POSITIONS, other_words: bool = False) -> Path:
    """A question answering BERT; ``other_words``: its tokenizer takes two words for one token."""
    tokenizer = toy_models.word_pieces()
    if other_words:
        tokenizer.add_tokens([f"{toy_models.FILLERS[i]} {word}" for i in range(12) for word in toy_models.FILLERS])

    def build() -> PreTrainedModel:
        config = _bert_config(tokenizer.get_vocab_size(), 0.1)
        config.max_position_embeddings = positions
        return BertForQuestionAnswering(config)

    return _write(folder, build, tokenizer, {**_masked_config("bert"), "model_max_length": positions}, seed)


def _write(
    folder: Path, build: Callable[[], PreTrainedModel], tokenizer: Tokenizer, about: dict[str, Any], seed: int
) -> Path:
    folder.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build()
        toy_models.randomize_vectors(model)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


def _bert_config(vocabulary: int, dropout: float) -> BertConfig:
    return BertConfig(
        vocab_size=vocabulary, max_position_embeddings=POSITIONS, hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout, pad_token_id=0, **COMMON,
    )  # fmt: skip


def _albert(vocabulary: int, dropout: float) -> PreTrainedModel:
    return AlbertForMaskedLM(
        AlbertConfig(
            vocab_size=vocabulary, embedding_size=HIDDEN // 2, num_hidden_groups=1, inner_group_num=1,
            max_position_embeddings=POSITIONS, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
            **PADDED, **COMMON,
        )
    )  # fmt: skip


def _deberta(vocabulary: int, dropout: float, **more: Any) -> PreTrainedModel:
    return DebertaV2ForMaskedLM(
        DebertaV2Config(
            vocab_size=vocabulary, max_position_embeddings=POSITIONS, relative_attention=True, position_buckets=16,
            max_relative_positions=-1, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm", position_biased_input=False,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, pad_token_id=0, type_vocab_size=0,
            **more, **COMMON,
        )
    )  # fmt: skip


def _deberta_v2(vocabulary: int, dropout: float) -> PreTrainedModel:
    """As microsoft/deberta-v2-*: its own position projections and a convolution beside the first layer."""
    return _deberta(vocabulary, dropout, share_att_key=False, conv_kernel_size=3, conv_act="gelu")


def _deberta_v3(vocabulary: int, dropout: float) -> PreTrainedModel:
    """As microsoft/deberta-v3-*: positions go through the projections of the content."""
    return _deberta(vocabulary, dropout, share_att_key=True)


def _modernbert(vocabulary: int, dropout: float) -> PreTrainedModel:
    return ModernBertForMaskedLM(
        ModernBertConfig(
            vocab_size=vocabulary, max_position_embeddings=POSITIONS, local_attention=8, global_attn_every_n_layers=2,
            attention_dropout=dropout, mlp_dropout=dropout, embedding_dropout=dropout, pad_token_id=0, cls_token_id=2,
            sep_token_id=3, bos_token_id=2, eos_token_id=3, initializer_cutoff_factor=2.0, **COMMON,
        )
    )  # fmt: skip


def _mpnet(vocabulary: int, dropout: float) -> PreTrainedModel:
    return MPNetForMaskedLM(
        MPNetConfig(
            vocab_size=vocabulary, max_position_embeddings=POSITIONS + 2, hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout, pad_token_id=1, bos_token_id=0, eos_token_id=2, **COMMON,
        )
    )  # fmt: skip


def _minilm(vocabulary: int, dropout: float) -> PreTrainedModel:
    return BertModel(_bert_config(vocabulary, dropout), add_pooling_layer=False)


def _llama(vocabulary: int, dropout: float) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(attention_dropout=dropout, **_causal(vocabulary), tie_word_embeddings=False))


def _qwen2(vocabulary: int, dropout: float) -> PreTrainedModel:
    return Qwen2ForCausalLM(Qwen2Config(attention_dropout=dropout, **_causal(vocabulary), tie_word_embeddings=True))


def _qwen3(vocabulary: int, dropout: float) -> PreTrainedModel:
    config = Qwen3Config(
        attention_dropout=dropout, head_dim=HIDDEN // 2, **_causal(vocabulary), tie_word_embeddings=True
    )
    return Qwen3ForCausalLM(config)


def _causal(vocabulary: int) -> dict[str, Any]:
    """Grouped queries; no padding token, as most of them come."""
    return {
        "vocab_size": vocabulary, "num_key_value_heads": 1, "max_position_embeddings": POSITIONS, "bos_token_id": 0,
        "eos_token_id": 2, **COMMON,
    }  # fmt: skip


_BUILD: dict[str, Callable[[int, float], PreTrainedModel]] = {
    "albert": _albert,
    "deberta-v2": _deberta_v2,
    "deberta-v3": _deberta_v3,
    "modernbert": _modernbert,
    "mpnet": _mpnet,
    "minilm": _minilm,
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
}


def _masked_tokenizer(shape: str) -> tuple[Tokenizer, dict[str, Any]]:
    if shape == "mpnet":  # its positions count from a padding id of 1
        return toy_models.byte_pairs(), _named(
            ["input_ids", "attention_mask"], cls_token="<s>", sep_token="</s>", unk_token="<unk>", pad_token="<pad>",
            mask_token="<mask>",
        )  # fmt: skip
    return toy_models.word_pieces(), _masked_config(shape)


def _masked_config(shape: str) -> dict[str, Any]:
    inputs = (
        ["input_ids", "attention_mask"] if shape == "modernbert" else ["input_ids", "token_type_ids", "attention_mask"]
    )
    return _named(
        inputs, cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]"
    )


def _causal_tokenizer(shape: str) -> tuple[Tokenizer, dict[str, Any]]:
    """Llama's begins every text with a token and has none for padding; Qwen's begins with none and pads."""
    tokenizer = toy_models.byte_pairs()
    inputs = ["input_ids", "attention_mask"]
    if shape == "llama":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)]
        )
        return tokenizer, _named(inputs, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_end|>"])
    return tokenizer, _named(inputs, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token="<|endoftext|>")


def _named(inputs: list[str], **tokens: str) -> dict[str, Any]:
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": POSITIONS, "model_input_names": inputs}
    return about | tokens
