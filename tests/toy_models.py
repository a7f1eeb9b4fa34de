"""Toy transformers: real model folders of every shape, randomly initialised and small enough to be trained in seconds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

SHAPES = ("bert", "roberta", "distilbert", "electra")
LABEL_WORDS = ("terrible", "great", "Yes", "No", "Maybe", "correct", "incorrect")
GOOD = ("fine", "lovely", "bright", "warm", "clever", "fresh")
BAD = ("dull", "cold", "stale", "awful", "grim", "weak")
FILLERS = (
    "the",
    "a",
    "this",
    "that",
    "film",
    "book",
    "play",
    "story",
    "it",
    "was",
    "is",
    "with",
    "and",
    "of",
    "in",
    "on",
    "at",
    "by",
    "for",
    "from",
    "very",
    "quite",
    "rather",
    "most",
    "some",
    "any",
    "one",
    "two",
    "three",
    "day",
    "night",
    "scene",
    "actor",
    "plot",
    "end",
)
WORDS = (*FILLERS, *GOOD, *BAD, *LABEL_WORDS)
POSITIONS = 64
HIDDEN = 32
INTERMEDIATE = 48
LAYERS = 2


def make_model(folder: Path, shape: str = "bert", *, seed: int = 0, dropout: float = 0.1) -> Path:
    """A model folder of ``shape`` (one of SHAPES): weights, configuration, tokenizer."""
    folder.mkdir(parents=True)
    tokenizer = byte_pairs() if shape == "roberta" else word_pieces()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _BUILD[shape](tokenizer.get_vocab_size(), dropout)
        randomize_vectors(model)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(shape)))
    return folder


def randomize_vectors(model: PreTrainedModel) -> None:
    """Biases and norms that differ from their usual start at 0 and 1, so that one left out cannot go unnoticed."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            torch.nn.init.normal_(parameter, centre, 0.05)


def _bert(vocabulary: int, dropout: float) -> PreTrainedModel:
    return BertForMaskedLM(
        BertConfig(
            vocab_size=vocabulary,
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            intermediate_size=INTERMEDIATE,
            max_position_embeddings=POSITIONS,
            initializer_range=0.15,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=0,
        )
    )


def _roberta(vocabulary: int, dropout: float) -> PreTrainedModel:
    return RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=vocabulary,
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            intermediate_size=INTERMEDIATE,
            max_position_embeddings=POSITIONS + 2,
            initializer_range=0.15,
            type_vocab_size=1,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
        )
    )


def _distilbert(vocabulary: int, dropout: float) -> PreTrainedModel:
    return DistilBertForMaskedLM(
        DistilBertConfig(
            vocab_size=vocabulary,
            dim=HIDDEN,
            n_layers=LAYERS,
            n_heads=2,
            hidden_dim=INTERMEDIATE,
            max_position_embeddings=POSITIONS,
            initializer_range=0.15,
            dropout=dropout,
            attention_dropout=dropout,
            pad_token_id=0,
        )
    )


def _electra(vocabulary: int, dropout: float) -> PreTrainedModel:
    return ElectraForMaskedLM(
        ElectraConfig(
            vocab_size=vocabulary,
            embedding_size=HIDDEN // 2,
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            intermediate_size=INTERMEDIATE,
            max_position_embeddings=POSITIONS,
            initializer_range=0.15,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=0,
        )
    )


_BUILD: dict[str, Callable[[int, float], PreTrainedModel]] = {
    "bert": _bert,
    "roberta": _roberta,
    "distilbert": _distilbert,
    "electra": _electra,
}


def word_pieces() -> Tokenizer:
    """As BERT's cased tokenizer; every word of WORDS is one token, and so is every letter."""
    letters = sorted(set("".join(WORDS)))
    pieces = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(WORDS))
    vocabulary = list(dict.fromkeys([*pieces, *letters, *(f"##{letter}" for letter in letters)]))
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return tokenizer


def byte_pairs() -> Tokenizer:
    """As RoBERTa's tokenizer; every word of WORDS is one token when a blank is before it."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    vocabulary = {piece: number for number, piece in enumerate([*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    merges: list[tuple[str, str]] = []
    for word in dict.fromkeys(WORDS):
        left = "Ġ"
        for letter in word:
            if (left, letter) not in merges:
                merges.append((left, letter))
                vocabulary[left + letter] = len(vocabulary)
            left += letter
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
    return tokenizer


def _tokenizer_config(shape: str) -> dict[str, Any]:
    if shape == "roberta":
        return {
            "tokenizer_class": "RobertaTokenizer",
            "model_max_length": POSITIONS,
            "bos_token": "<s>",
            "eos_token": "</s>",
            "cls_token": "<s>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
        }
    names = {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer", "electra": "ElectraTokenizer"}
    return {
        "tokenizer_class": names[shape],
        "model_max_length": POSITIONS,
        "do_lower_case": False,
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "mask_token": "[MASK]",
    }
