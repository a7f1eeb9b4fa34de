"""Label words as single tokens of a model's tokenizer: the check of a model folder, and the token ids for a head.

A class is scored by the logit of its label word (:mod:`pruning.models.heads`), so each word must be one known token, and no two
words the same one. The API asks with the ``tokenizers`` library before a job is accepted, without loading transformers; the
trainer asks the tokenizer that it has loaded, which may be one without a ``tokenizer.json``. Both by :func:`resolve_words`.
Torch-free.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer

from pruning.errors import PermanentError

Encode = Callable[[str], tuple[list[int], list[str]]]
"""Ids and tokens of a text, without a frame of special tokens, and with their spellings cut like other text."""


_WITHOUT_KIND = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Tokenizer classes that take ``tokenizer.json`` as it is."""


def resolve_words(words: Sequence[str], encode: Encode, unusable: Collection[int]) -> list[int]:
    """Token id of each label word: as it stands inside a text, behind a blank, or else as it begins one.

    ``unusable``: ids of unknown words and of special tokens. Raises PermanentError (``label_word_unknown``,
    ``label_words_collide``, param ``label_words.<index>``).
    """
    seen: dict[int, str] = {}
    for index, word in enumerate(words):
        forms = [encode(f" {word}"), encode(word)]
        single = [ids[0] for ids, _ in forms if len(ids) == 1 and ids[0] not in unusable]
        if not single:
            raise PermanentError(
                f"label word {word!r} must be a single token of the model's tokenizer, and is {_pieces(*forms[0], unusable)}; "
                "use another word",
                code="label_word_unknown", param=f"label_words.{index}",
            )  # fmt: skip
        if single[0] in seen:
            raise PermanentError(
                f"label words {seen[single[0]]!r} and {word!r} are the same token of the model's tokenizer, "
                "so two classes could not be told apart; use another word",
                code="label_words_collide", param=f"label_words.{index}",
            )  # fmt: skip
        seen[single[0]] = word
    return list(seen)


def _pieces(ids: list[int], tokens: list[str], unusable: Collection[int]) -> str:
    if any(token in unusable for token in ids):
        return "unknown to it"
    return f"{len(ids)} tokens: {' '.join(tokens)}"


def check_label_words(file: Path, words: Sequence[str]) -> None:
    """Refuse words that :func:`resolve_words` refuses, by the tokenizer stored in ``file`` (``tokenizer.json``).

    Raises PermanentError (those, and ``tokenizer_invalid``).
    """
    tokenizer = load_tokenizer(file)

    def encode(text: str) -> tuple[list[int], list[str]]:
        found = tokenizer.encode(text, add_special_tokens=False)
        return found.ids, found.tokens

    unusable = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    unknown = getattr(tokenizer.model, "unk_id", None)
    if unknown is None and getattr(tokenizer.model, "unk_token", None) is not None:
        unknown = tokenizer.token_to_id(tokenizer.model.unk_token)
    with _library_errors(file.name):
        resolve_words(words, encode, unusable if unknown is None else unusable | {unknown})


def label_word_ids(tokenizer: Any, words: Sequence[str]) -> list[int]:
    """Token id of each label word, by a transformers tokenizer. Raises PermanentError as :func:`resolve_words` does."""

    def encode(text: str) -> tuple[list[int], list[str]]:
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids, tokenizer.convert_ids_to_tokens(ids)

    return resolve_words(words, encode, {tokenizer.unk_token_id, *tokenizer.all_special_ids})


def highest_token_id(file: Path) -> int:
    """The highest id that the tokenizer stored in ``file`` can give. Raises PermanentError (``tokenizer_invalid``)."""
    about = file.stat()
    return _highest_token_id(str(file), about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=16)
def _highest_token_id(file: str, modified: int, size: int) -> int:
    return max(_load_tokenizer(file, modified, size).get_vocab(with_added_tokens=True).values(), default=-1)


def load_tokenizer(file: Path) -> Tokenizer:
    """The fast tokenizer stored in ``file``, without padding or truncation, as transformers' class for the folder makes it.

    Raises PermanentError when it cannot be read.
    """
    about = file.stat()
    return _load_tokenizer(str(file), about.st_mtime_ns, about.st_size, _lowercases(file.parent))


@lru_cache(maxsize=4)  # reading 30 000 tokens takes 30 ms, and a sweep posts the same model many times
def _load_tokenizer(file: str, _modified: int, _bytes: int, lowercases: bool | None = None) -> Tokenizer:
    with _library_errors(os.path.basename(file)):
        tokenizer = Tokenizer.from_file(file)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # their spellings are text
    if lowercases is not None and isinstance(tokenizer.normalizer, BertNormalizer):
        tokenizer.normalizer.lowercase = lowercases
    return tokenizer


def _lowercases(folder: Path) -> bool | None:
    """``do_lower_case`` of ``tokenizer_config.json``, by which the classes of BERT's kind replace the setting of a BERT
    normalizer, and true where it is missing; None for a class without a kind, which takes the file as it is."""
    try:
        config = json.loads((folder / "tokenizer_config.json").read_bytes())
    except (OSError, ValueError):
        config = {}
    if not isinstance(config, dict) or config.get("tokenizer_class") in _WITHOUT_KIND:
        return None
    return bool(config.get("do_lower_case", True))


@contextmanager
def _library_errors(file: str) -> Iterator[None]:
    """Whatever the library raises for what it finds in ``file`` becomes ``tokenizer_invalid``, a panic of its Rust code too."""
    try:
        yield
    except PermanentError:
        raise
    except BaseException as fault:  # a panic is no Exception, and the library raises nothing more specific
        if not isinstance(fault, Exception) and type(fault).__name__ != "PanicException":
            raise
        message = f"{file} cannot be read: {fault}"
        raise PermanentError(message, code="tokenizer_invalid", param="model") from fault
