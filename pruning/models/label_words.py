"""Label words as single tokens of a model's tokenizer: the check of a model folder, and the token ids for a head.

A class is scored by the logit of its label word (:mod:`pruning.models.heads`), so each word must be one known token, and no two
words the same one. The API asks with the ``tokenizers`` library before a job is accepted, without loading transformers; the
trainer asks the tokenizer that it has loaded, which may be one without a ``tokenizer.json``. Torch-free.
"""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pruning.errors import PermanentError


def check_label_words(file: Path, words: Sequence[str]) -> None:
    """Refuse words that are not one token each, all different, of the tokenizer stored in ``file`` (``tokenizer.json``).

    Raises PermanentError (``label_word_unknown``, ``label_words_collide``, param ``label_words.<index>``; ``tokenizer_invalid``).
    """
    seen: dict[int, str] = {}
    tokenizer = load_tokenizer(file)
    unknown = getattr(tokenizer.model, "unk_token", None)
    for index, word in enumerate(words):
        found = tokenizer.encode(f" {word}", add_special_tokens=False)
        if len(found.ids) != 1 or found.tokens[0] == unknown:
            pieces = (
                "unknown to it" if unknown in found.tokens else f"{len(found.ids)} tokens: {' '.join(found.tokens)}"
            )
            raise PermanentError(
                f"label word {word!r} must be a single token of the model's tokenizer, and is {pieces}; use another word",
                code="label_word_unknown",
                param=f"label_words.{index}",
            )
        if found.ids[0] in seen:
            raise PermanentError(
                f"label words {seen[found.ids[0]]!r} and {word!r} are the same token of the model's tokenizer, "
                "so two classes could not be told apart; use another word",
                code="label_words_collide",
                param=f"label_words.{index}",
            )
        seen[found.ids[0]] = word


def label_word_ids(tokenizer: Any, words: Sequence[str]) -> list[int]:
    """Token id of each label word, encoded with a leading space by a transformers tokenizer.

    Raises PermanentError if a word is not exactly one known token of this tokenizer.
    """
    ids = []
    for word in words:
        pieces = tokenizer.encode(f" {word}", add_special_tokens=False)
        if len(pieces) != 1 or pieces[0] == tokenizer.unk_token_id:
            shown = tokenizer.convert_ids_to_tokens(pieces)
            raise PermanentError(
                f"label word {word!r} is {len(pieces)} tokens ({' '.join(shown)}) for this model's tokenizer, "
                "it must be one known token; choose another word",
                code="label_word_unknown", param="label_words",
            )  # fmt: skip
        ids.append(int(pieces[0]))
    return ids


def load_tokenizer(file: Path) -> Tokenizer:
    """The fast tokenizer stored in ``file``, without padding or truncation. Raises PermanentError when it cannot be read."""
    about = file.stat()
    return _load_tokenizer(str(file), about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)  # reading 30 000 tokens takes 30 ms, and a sweep posts the same model many times
def _load_tokenizer(file: str, _modified: int, _bytes: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(file)
    except Exception as fault:  # the library raises nothing more specific
        message = f"{os.path.basename(file)} cannot be read: {fault}"
        raise PermanentError(message, code="tokenizer_invalid", param="model") from fault
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
