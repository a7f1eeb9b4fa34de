"""Toy transformers and data sets: real folders of every shape, small enough to be trained in seconds.

The models are randomly initialised, never pretrained; the data sets can be told apart by single words, so that score
training on a frozen random encoder visibly learns.
"""

import json
import random
from collections.abc import Callable, Iterable
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
    "the", "a", "this", "that", "film", "book", "play", "story", "it", "was", "is", "with", "and", "of", "in", "on", "at",
    "by", "for", "from", "very", "quite", "rather", "most", "some", "any", "one", "two", "three", "day", "night", "scene",
    "actor", "plot", "end",
)  # fmt: skip
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
        _make_varied(model)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(shape)))
    return folder


def _make_varied(model: PreTrainedModel) -> None:
    """Biases and norms that differ from their usual start at 0 and 1, so that one left out cannot go unnoticed."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            torch.nn.init.normal_(parameter, centre, 0.05)


def _bert(vocabulary: int, dropout: float) -> PreTrainedModel:
    return BertForMaskedLM(
        BertConfig(
            vocab_size=vocabulary, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=2,
            intermediate_size=INTERMEDIATE, max_position_embeddings=POSITIONS, initializer_range=0.15,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, pad_token_id=0,
        )
    )  # fmt: skip


def _roberta(vocabulary: int, dropout: float) -> PreTrainedModel:
    return RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=vocabulary, hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=2,
            intermediate_size=INTERMEDIATE, max_position_embeddings=POSITIONS + 2, initializer_range=0.15, type_vocab_size=1,
            hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        )
    )  # fmt: skip


def _distilbert(vocabulary: int, dropout: float) -> PreTrainedModel:
    return DistilBertForMaskedLM(
        DistilBertConfig(
            vocab_size=vocabulary, dim=HIDDEN, n_layers=LAYERS, n_heads=2, hidden_dim=INTERMEDIATE,
            max_position_embeddings=POSITIONS, initializer_range=0.15, dropout=dropout, attention_dropout=dropout,
            pad_token_id=0,
        )
    )  # fmt: skip


def _electra(vocabulary: int, dropout: float) -> PreTrainedModel:
    return ElectraForMaskedLM(
        ElectraConfig(
            vocab_size=vocabulary, embedding_size=HIDDEN // 2, hidden_size=HIDDEN, num_hidden_layers=LAYERS,
            num_attention_heads=2, intermediate_size=INTERMEDIATE, max_position_embeddings=POSITIONS,
            initializer_range=0.15, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, pad_token_id=0,
        )
    )  # fmt: skip


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
    vocabulary = {
        piece: number for number, piece in enumerate([*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())])
    }
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
            "tokenizer_class": "RobertaTokenizer", "model_max_length": POSITIONS, "bos_token": "<s>", "eos_token": "</s>",
            "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>",
        }  # fmt: skip
    names = {"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer", "electra": "ElectraTokenizer"}
    return {
        "tokenizer_class": names[shape], "model_max_length": POSITIONS, "do_lower_case": False, "unk_token": "[UNK]",
        "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]",
    }  # fmt: skip


def make_opinions(folder: Path, *, train: int = 256, validation: int = 96, seed: int = 1) -> Path:
    """``sst2`` rows: label 1 where the sentence has words of GOOD, 0 where it has words of BAD."""
    return write_splits(folder, {"train": opinions(train, seed), "validation": opinions(validation, seed + 1)})


def make_ratings(folder: Path, *, train: int = 128, validation: int = 48, seed: int = 1) -> Path:
    """``stsb`` rows: a number from 0 to 5 that grows with the share of GOOD words in two sentences."""
    return write_splits(folder, {"train": ratings(train, seed), "validation": ratings(validation, seed + 1)})


def opinions(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of :func:`make_opinions`; as many of one class as of the other."""
    source = random.Random(seed)
    rows = []
    for i in range(count):
        words = source.choices(FILLERS, k=source.randint(2, 12)) + source.choices((BAD, GOOD)[i % 2], k=3)
        source.shuffle(words)
        rows.append({"sentence": " ".join(words), "label": i % 2, "idx": i})
    return rows


def ratings(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of :func:`make_ratings`."""
    source = random.Random(seed)
    rows = []
    for i in range(count):
        good = source.randint(0, 5)
        words = source.choices(GOOD, k=good) + source.choices(BAD, k=5 - good) + source.choices(FILLERS, k=3)
        source.shuffle(words)
        rows.append(
            {"sentence1": " ".join(words[:4]), "sentence2": " ".join(words[4:]), "label": float(good), "idx": i}
        )
    return rows


def write_splits(folder: Path, splits: dict[str, Iterable[dict[str, Any]]]) -> Path:
    """A data set folder of ``<split>.jsonl`` files."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
