"""Small model and data set folders, as complete as a check without torch can tell."""

import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from pruning.errors import PermanentError
from pruning.models.checks import MODEL_TYPES, check_model_folder
from pruning.models.encoder_tensors import encoder_shapes, head_shapes

SIZES = {
    "vocab_size": 512,
    "hidden_size": 2,
    "dim": 2,
    "embedding_size": 2,
    "intermediate_size": 3,
    "hidden_dim": 3,
    "num_hidden_layers": 1,
    "n_layers": 1,
    "num_attention_heads": 1,
    "n_heads": 1,
    "num_key_value_heads": 1,
    "max_position_embeddings": 8,
    "pad_token_id": 0,
}
"""Of every type, by the keys that one or another has."""
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no", "terrible", "great", "un", "##related", "maybe")
GOOD = ("terrible", "great")
"""Label words that the tokenizer of these folders has."""


def make_model(
    folder: Path, *, model_type: str = "bert", head: bool = True, tensors: Sequence[str] = (), config: dict[str, Any] | None = None
) -> Path:
    """A folder of ``model_type`` with a lower-casing WordPiece tokenizer of WORDS."""
    folder.mkdir(parents=True)
    about = {"model_type": model_type, **SIZES, **(config or {})}
    (folder / "config.json").write_text(json.dumps(about))
    weights = {name: np.zeros((512, 1), np.float32) for name in tensors}
    if model_type in MODEL_TYPES:
        weights |= zeros(about, head=head)
    save_file(weights, folder / "model.safetensors")
    word_pieces().save(str(folder / "tokenizer.json"))
    return folder


def zeros(config: dict[str, Any], *, head: bool = True) -> dict[str, Any]:
    """Weights of the encoder and of its language-model head, as ``config`` has them."""
    shapes = encoder_shapes(config) | (head_shapes(config) if head else {})
    if head and MODEL_TYPES[config["model_type"]].decoder_only:
        shapes[MODEL_TYPES[config["model_type"]].decoder] = next(iter(shapes.values()))
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def word_pieces() -> Tokenizer:
    """As BERT's uncased tokenizer, with padding set as sentence encoders have it."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_padding(length=16)
    return tokenizer


def byte_pairs(words: Iterable[str]) -> Tokenizer:
    """As RoBERTa's tokenizer: ``words`` are tokens only with the blank before them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    merges: list[tuple[str, str]] = []
    for word in words:
        left = "Ġ"
        for letter in word:
            if (left, letter) not in merges:
                merges.append((left, letter))
                vocabulary[left + letter] = len(vocabulary)
            left += letter
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def write_rows(file: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """A split: one JSON object per line, compressed where the name says so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file.write_bytes(gzip.compress(text) if file.suffix == ".gz" else text)
    return file


def refusal(folder: Path, words: tuple[str, ...] = GOOD, head: str = "label-words") -> PermanentError:
    """Of the check of a folder that must be refused."""
    with pytest.raises(PermanentError) as caught:
        check_model_folder(folder, words, head)
    return caught.value
