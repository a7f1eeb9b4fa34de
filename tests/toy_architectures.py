"""Toy models of architectures beyond :data:`tests.toy_models.SHAPES`, and fine-tuned models that serve as teachers.

Random weights in real folders, as ``save_pretrained`` writes them, with the tokenizers of :mod:`tests.toy_models`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
    CamembertConfig,
    CamembertForMaskedLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    MobileBertConfig,
    MobileBertForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    MPNetConfig,
    MPNetForMaskedLM,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from tests import toy_decoders, toy_models, toy_tokenizers
from tests.toy_decoders import COMMON
from tests.toy_models import HIDDEN, POSITIONS

DECODERS = tuple(toy_decoders.BUILD)
ENCODERS = (
    *toy_models.SHAPES,
    "albert",
    "camembert",
    "deberta-v2",
    "deberta-v3",
    "mobilebert",
    "modernbert",
    "mpnet",
    "xlm-roberta",
)
HEADLESS = "minilm"
"""A BERT encoder saved without any head, as sentence encoders are."""
ALL = (*ENCODERS, HEADLESS, *DECODERS)
PADDED: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": None}


def make_model(folder: Path, shape: str, *, seed: int = 0, dropout: float = 0.1) -> Path:
    """A model folder of ``shape`` (one of ALL): weights, configuration, tokenizer."""
    if shape in toy_models.SHAPES:
        return toy_models.make_model(folder, shape, seed=seed, dropout=dropout)
    tokenizer, about = toy_tokenizers.of_decoder(shape) if shape in DECODERS else _masked_tokenizer(shape)
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


def _write(folder: Path, build: Callable[[], PreTrainedModel], tokenizer: Tokenizer, about: dict[str, Any], seed: int) -> Path:
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
        vocab_size=vocabulary,
        max_position_embeddings=POSITIONS,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        pad_token_id=0,
        **COMMON,
    )


def _albert(vocabulary: int, dropout: float) -> PreTrainedModel:
    return AlbertForMaskedLM(
        AlbertConfig(
            vocab_size=vocabulary,
            embedding_size=HIDDEN // 2,
            num_hidden_groups=1,
            inner_group_num=1,
            max_position_embeddings=POSITIONS,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            **PADDED,
            **COMMON,
        )
    )


def _deberta(vocabulary: int, dropout: float, **more: Any) -> PreTrainedModel:
    about: dict[str, Any] = {
        "vocab_size": vocabulary,
        "max_position_embeddings": POSITIONS,
        "relative_attention": True,
        "position_buckets": 16,
        "max_relative_positions": -1,
        "pos_att_type": ["p2c", "c2p"],
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "pad_token_id": 0,
        "type_vocab_size": 0,
    }
    return DebertaV2ForMaskedLM(DebertaV2Config(**about, **more, **COMMON))


def _deberta_v2(vocabulary: int, dropout: float) -> PreTrainedModel:
    """As microsoft/deberta-v2-*: its own position projections and a convolution next to the first layer."""
    return _deberta(vocabulary, dropout, share_att_key=False, conv_kernel_size=3, conv_act="gelu")


def _deberta_v3(vocabulary: int, dropout: float) -> PreTrainedModel:
    """As microsoft/deberta-v3-*: positions go through the projections of the content."""
    return _deberta(vocabulary, dropout, share_att_key=True)


def _modernbert(vocabulary: int, dropout: float) -> PreTrainedModel:
    about: dict[str, Any] = {
        "vocab_size": vocabulary,
        "max_position_embeddings": POSITIONS,
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        "attention_dropout": dropout,
        "mlp_dropout": dropout,
        "embedding_dropout": dropout,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "initializer_cutoff_factor": 2.0,
    }
    return ModernBertForMaskedLM(ModernBertConfig(**about, **COMMON))


def _mpnet(vocabulary: int, dropout: float) -> PreTrainedModel:
    return MPNetForMaskedLM(
        MPNetConfig(
            vocab_size=vocabulary,
            max_position_embeddings=POSITIONS + 2,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            **COMMON,
        )
    )


def _minilm(vocabulary: int, dropout: float) -> PreTrainedModel:
    return BertModel(_bert_config(vocabulary, dropout), add_pooling_layer=False)


def _camembert(vocabulary: int, dropout: float) -> PreTrainedModel:
    return CamembertForMaskedLM(CamembertConfig(**_roberta_sizes(vocabulary, dropout)))


def _xlm_roberta(vocabulary: int, dropout: float) -> PreTrainedModel:
    return XLMRobertaForMaskedLM(XLMRobertaConfig(**_roberta_sizes(vocabulary, dropout)))


def _roberta_sizes(vocabulary: int, dropout: float) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "max_position_embeddings": POSITIONS + 2,
        "type_vocab_size": 1,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        **COMMON,
    }


def _mobilebert(vocabulary: int, dropout: float) -> PreTrainedModel:
    """Attention and feed-forward networks, two to a layer, in bottlenecks of half the states' width."""
    return MobileBertForMaskedLM(
        MobileBertConfig(
            vocab_size=vocabulary,
            max_position_embeddings=POSITIONS,
            embedding_size=HIDDEN // 2,
            intra_bottleneck_size=HIDDEN // 2,
            num_feedforward_networks=2,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            **COMMON,
        )
    )


_BUILD: dict[str, Callable[[int, float], PreTrainedModel]] = {
    **toy_decoders.BUILD,
    "albert": _albert,
    "camembert": _camembert,
    "deberta-v2": _deberta_v2,
    "deberta-v3": _deberta_v3,
    "modernbert": _modernbert,
    "mpnet": _mpnet,
    "minilm": _minilm,
    "mobilebert": _mobilebert,
    "xlm-roberta": _xlm_roberta,
}


_UNIGRAM_SPECIALS = {
    "camembert": ("<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>", "<mask>"),
    "xlm-roberta": ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
}


def _masked_tokenizer(shape: str) -> tuple[Tokenizer, dict[str, Any]]:
    like_roberta: dict[str, Any] = {
        "cls_token": "<s>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }
    if shape == "mpnet":  # its positions count from a padding id of 1
        return toy_models.byte_pairs(), toy_tokenizers.named(["input_ids", "attention_mask"], **like_roberta)
    if shape in ("camembert", "xlm-roberta"):
        kind = {"camembert": "CamembertTokenizer", "xlm-roberta": "XLMRobertaTokenizer"}[shape]
        about = toy_tokenizers.named(kind=kind, bos_token="<s>", eos_token="</s>", **like_roberta)
        return toy_tokenizers.unigram(_UNIGRAM_SPECIALS[shape]), about
    return toy_models.word_pieces(), _masked_config(shape)


def _masked_config(shape: str) -> dict[str, Any]:
    inputs = ["input_ids", "attention_mask"] if shape == "modernbert" else ["input_ids", "token_type_ids", "attention_mask"]
    return toy_tokenizers.named(
        inputs, cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]", pad_token="[PAD]", mask_token="[MASK]"
    )
