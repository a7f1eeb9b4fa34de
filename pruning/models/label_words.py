"""Label words as tokens of a model's tokenizer: the check of a model folder, and the token ids for a head.

A class is scored by the logits of its label words (:mod:`pruning.models.heads`), so each word must be one known token, or where the
spec allows it several (:mod:`pruning.spec.verbalizer`), and no two words the same. The API checks with the ``tokenizers`` library
before a job is accepted, without loading transformers; the trainer checks with the tokenizer that it has loaded, which may be one
without a ``tokenizer.json``. Both by :func:`resolve_words`. Torch-free.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer

from pruning.errors import PermanentError
from pruning.spec.verbalizer import ClassTokens, ClassWords, Pieces, WordTokens, token_shares, words_of

Encode = Callable[[str], tuple[list[int], list[str]]]
"""Ids and tokens of a text, without a frame of special tokens, and with their spellings cut like other text."""


_WITHOUT_KIND = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Tokenizer classes that take ``tokenizer.json`` as it is."""


_CLASSIFIER = "set head to classifier, which needs no words"
_WANTED: dict[Pieces, str] = {"refuse": "a single token", "mean": "known tokens"}


@dataclass(frozen=True)
class WordRules:
    """Rules for the label words of a run."""

    pieces: Pieces = "refuse"
    """``label_word_pieces`` of its spec."""
    head: str = "label-words"
    caps_logits: bool = False
    """Whether the model caps its logits, so that the logit of a mean of rows is not the mean of their logits."""


def resolve_words(
    label_words: Sequence[ClassWords], encode: Encode, unusable: Collection[int], rules: WordRules
) -> list[ClassTokens]:
    """Tokens of each class: of each of its words as it stands inside a text, behind a blank, or else as it begins one.

    ``unusable``: ids of unknown words and of special tokens. Raises PermanentError (``label_word_unknown``,
    ``label_words_collide``, ``label_words_capped``, param ``label_words.<class>``, or ``label_words.<class>.<word>`` where a class
    has several).
    """
    found: list[ClassTokens] = []
    seen: dict[tuple[int, ...], tuple[int, str]] = {}
    for index, given in enumerate(label_words):
        tokens: list[WordTokens] = []
        for number, word in enumerate(words_of(given)):
            param = f"label_words.{index}" if isinstance(given, str) else f"label_words.{index}.{number}"
            ids = _ids_of(word, encode, unusable, rules, param)
            before = seen.setdefault(tuple(sorted(ids)), (index, word))
            if before != (index, word):
                raise _same_tokens(before, (index, word), param)
            tokens.append(ids[0] if len(ids) == 1 else tuple(ids))
        first = tokens[0]
        found.append(first if len(tokens) == 1 and isinstance(first, int) else tuple(tokens))
    _require_different(found)
    if rules.caps_logits:
        _require_single(found, ", or " + _CLASSIFIER if rules.head == "label-words" else "")
    return found


def _ids_of(word: str, encode: Encode, unusable: Collection[int], rules: WordRules, param: str) -> list[int]:
    forms = [encode(f" {word}"), encode(word)]
    known = [ids for ids, _ in forms if _is_known(ids, unusable)]
    shortest = min(known, key=len, default=[])  # of two of a length that behind a blank
    if len(shortest) == 1 or (shortest and rules.pieces == "mean"):
        return shortest
    split = _is_known(forms[0][0], unusable)
    remedies = ["use another word"]
    remedies += ["set label_word_pieces to mean"] if split and rules.pieces == "refuse" else []
    remedies += [_CLASSIFIER] if rules.head == "label-words" else []
    state = f"{len(forms[0][0])} tokens: {' '.join(forms[0][1])}" if split else "unknown to it"
    raise PermanentError(
        f"label word {word!r} must be {_WANTED[rules.pieces]} of the model's tokenizer, and is {state}; {', or '.join(remedies)}",
        code="label_word_unknown",
        param=param,
    )


def _is_known(ids: Sequence[int], unusable: Collection[int]) -> bool:
    return len(ids) > 0 and not any(number in unusable for number in ids)


def _same_tokens(before: tuple[int, str], here: tuple[int, str], param: str) -> PermanentError:
    consequence = (
        "so one would count twice; leave one out"
        if before[0] == here[0]
        else "so the two classes could not be distinguished; use another word"
    )
    return PermanentError(
        f"label words {before[1]!r} and {here[1]!r} are the same token of the model's tokenizer, or the same pieces, {consequence}",
        code="label_words_collide",
        param=param,
    )


def _require_different(found: Sequence[ClassTokens]) -> None:
    """Classes of other words may still have the same mean: a word in two pieces, and both pieces as words."""
    seen: dict[frozenset[tuple[int, Fraction]], int] = {}
    for index, tokens in enumerate(found):
        first = seen.setdefault(frozenset(token_shares(tokens).items()), index)
        if first != index:
            raise PermanentError(
                f"the words of class {index} have the same tokens as those of class {first}, so the two could not be "
                "distinguished; use other words",
                code="label_words_collide",
                param=f"label_words.{index}",
            )


def _require_single(found: Sequence[ClassTokens], remedy: str) -> None:
    for index, tokens in enumerate(found):
        if not isinstance(tokens, int):
            raise PermanentError(
                f"class {index} has {len(token_shares(tokens))} tokens, and the model caps its logits (final_logit_softcapping), "
                "behind which the mean of their rows does not give the mean of their logits; give the class one word of one token"
                + remedy,
                code="label_words_capped",
                param=f"label_words.{index}",
            )


def check_label_words(file: Path, words: Sequence[ClassWords], rules: WordRules) -> None:
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
        resolve_words(words, encode, unusable if unknown is None else unusable | {unknown}, rules)


def label_word_ids(tokenizer: Any, words: Sequence[ClassWords], rules: WordRules = WordRules()) -> list[ClassTokens]:
    """Tokens of each class, by a transformers tokenizer. Raises PermanentError as :func:`resolve_words` does."""

    def encode(text: str) -> tuple[list[int], list[str]]:
        ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids, tokenizer.convert_ids_to_tokens(ids)

    return resolve_words(words, encode, {tokenizer.unk_token_id, *tokenizer.all_special_ids}, rules)


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
    """Convert every exception of the library about ``file`` to ``tokenizer_invalid``, a panic of its Rust code too."""
    try:
        yield
    except PermanentError:
        raise
    except BaseException as fault:  # a panic is not an Exception, and the library raises nothing more specific
        if not isinstance(fault, Exception) and type(fault).__name__ != "PanicException":
            raise
        message = f"{file} cannot be read: {fault}"
        raise PermanentError(message, code="tokenizer_invalid", param="model") from fault
