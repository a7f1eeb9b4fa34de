"""The demonstration tokenizer: WordPiece pieces learned from generated text, in stock Hugging Face files."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PUNCTUATION = ".,;:!?'\"-()&"
LABEL_WORDS = ("terrible", "great")
# Generated text holds about 6,200 different words, most of them names: the common words fit, names do not.
VOCABULARY_SIZE = 2400


def _new_tokenizer(vocabulary: dict[str, int]) -> Tokenizer:
    model = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)  # noqa: S106 - no password
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Learn the pieces; raises if a label word of the demonstration job is not a single piece."""
    # The trainer numbers inner letters ("##a") in the random order of a hash table and breaks ties by number.
    # Naming them up front fixes the order, and with it the vocabulary.
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY_SIZE,
        min_frequency=2,
        special_tokens=[*SPECIAL_TOKENS, *(f"##{sign}" for sign in LETTERS)],
        initial_alphabet=list(LETTERS + PUNCTUATION),
        show_progress=False,
    )
    learner = _new_tokenizer({})
    learner.train_from_iterator(texts, trainer)
    # A fresh tokenizer, because the learner takes everything named up front for a special token.
    tokenizer = _new_tokenizer(learner.get_vocab())
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    for word in LABEL_WORDS:
        if tokenizer.token_to_id(word) is None:
            raise ValueError(f"the label word {word!r} is not a single piece")
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, max_length: int) -> None:
    """Write the files that ``AutoTokenizer.from_pretrained`` reads, and vocab.txt for older readers."""
    tokenizer.save(str(folder / "tokenizer.json"))
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in by_id), encoding="utf-8")
    settings: dict[str, object] = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": max_length,
        "tokenize_chinese_chars": True,
        "strip_accents": None,
    }
    for name, token in zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL_TOKENS, strict=True):
        settings[f"{name}_token"] = token
    text = json.dumps(settings, indent=2, sort_keys=True)
    (folder / "tokenizer_config.json").write_text(f"{text}\n", encoding="utf-8")
