"""Toy tokenizers of the kinds that decoders and multilingual encoders have; others are in :mod:`tests.toy_models`.

Every word of WORDS is one token behind a blank.
"""

from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tests import toy_models
from tests.toy_models import POSITIONS, WORDS

BLANK = "▁"
"""SentencePiece's letter for a blank."""
TEXT_END = "<|endoftext|>"


def named(inputs: list[str] | None = None, *, kind: str = "PreTrainedTokenizerFast", **tokens: Any) -> dict[str, Any]:
    """``tokenizer_config.json`` of a class of transformers."""
    about = {"tokenizer_class": kind, "model_max_length": POSITIONS}
    return about | ({"model_input_names": inputs} if inputs else {}) | tokens


def unigram(specials: tuple[str, ...]) -> Tokenizer:
    """As that of XLM-RoBERTa: SentencePiece's unigram model; ``specials`` come first, ``<unk>`` and ``<mask>`` among them."""
    letters = sorted(set("".join(WORDS)))
    pieces = [(special, 0.0) for special in specials]
    pieces += [(BLANK + word, -2.0 - 0.01 * i) for i, word in enumerate(dict.fromkeys(WORDS))]
    pieces += [(piece, -9.0) for letter in letters for piece in (letter, BLANK + letter)]
    pieces += [(BLANK, -8.0)]
    pieces = [*dict(reversed(pieces)).items()][::-1]  # a word of one letter is there already
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=specials.index("<unk>"), byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement=BLANK, prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=BLANK, prepend_scheme="always")
    tokenizer.add_special_tokens(list(specials))
    start, end = specials.index("<s>"), specials.index("</s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", start), ("</s>", end)]
    )
    return tokenizer


def sentencepiece_pairs(specials: tuple[str, ...], start: str, *, prefixed: bool) -> Tokenizer:
    """As those of Mistral (``prefixed``: a blank before every text) and Gemma: SentencePiece's BPE, with bytes for the rest."""
    vocabulary = {piece: number for number, piece in enumerate([*specials, *(f"<0x{byte:02X}>" for byte in range(256))])}
    merges: list[tuple[str, str]] = []
    for letter in [BLANK, *sorted(set("".join(WORDS)))]:
        vocabulary[letter] = len(vocabulary)
    for word in dict.fromkeys(WORDS):
        left = BLANK
        for letter in word:
            if (left, letter) not in merges:
                merges.append((left, letter))
                vocabulary.setdefault(left + letter, len(vocabulary))
            left += letter
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replaced = normalizers.Replace(" ", BLANK)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), replaced]) if prefixed else replaced
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()] + ([decoders.Strip(" ", 1, 0)] if prefixed else [])
    )
    tokenizer.add_special_tokens(list(specials))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A", pair=f"{start} $A {start}:1 $B:1", special_tokens=[(start, specials.index(start))]
    )
    return tokenizer


def byte_level(*specials: str) -> Tokenizer:
    """As that of GPT-2, which frames a text with nothing; ``specials`` are added."""
    tokenizer = toy_models.byte_pairs()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens(list(specials))
    return tokenizer


def of_decoder(shape: str) -> tuple[Tokenizer, dict[str, Any]]:
    """Tokenizer and ``tokenizer_config.json`` of a decoder; those of Llama, Mistral, GPT-2 and Phi have nothing to pad with."""
    inputs = ["input_ids", "attention_mask"]
    if shape == "llama":
        tokenizer = toy_models.byte_pairs()
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 0)]
        )
        return tokenizer, named(inputs, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    if shape == "mistral":
        tokenizer = sentencepiece_pairs(("<unk>", "<s>", "</s>"), "<s>", prefixed=True)
        return tokenizer, named(kind="LlamaTokenizerFast", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    if shape in ("gemma", "gemma2"):
        tokenizer = sentencepiece_pairs(("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"), "<bos>", prefixed=False)
        tokens: dict[str, Any] = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
        return tokenizer, named(kind="GemmaTokenizer", **tokens)
    if shape == "gpt_neox":
        tokens = dict.fromkeys(("bos_token", "eos_token", "unk_token"), TEXT_END)
        return byte_level(TEXT_END, "<|padding|>"), named(kind="GPTNeoXTokenizer", pad_token="<|padding|>", **tokens)
    if shape in ("gpt2", "phi"):
        kind = {"gpt2": "GPT2Tokenizer", "phi": "CodeGenTokenizer"}[shape]
        return byte_level(TEXT_END), named(kind=kind, bos_token=TEXT_END, eos_token=TEXT_END, unk_token=TEXT_END)
    tokens = {"eos_token": "<|im_end|>", "pad_token": TEXT_END, "unk_token": TEXT_END}
    return byte_level(TEXT_END, "<|im_end|>"), named(inputs, **tokens)
