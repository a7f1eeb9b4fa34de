"""Verbalizer: the words that stand for the classes of a task, one or several for each, and the tokens that they are for a model.

The logit of a class is the mean of its words' logits, and that of a word of several tokens the mean of theirs. Several words for a
class are the verbalizer of PET (Schick and Schütze, arXiv 2001.07676) with the mean of OpenPrompt's ``ManualVerbalizer`` (Ding et
al., arXiv 2111.01998); that takes the mean of log-probabilities, which differs from a mean of logits by one number for all classes
of a row, so that their softmax is the same. Its ``multi_token_handler="mean"`` is ``label_word_pieces: mean`` here. Torch-free.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, StringConstraints, Tag
from pydantic_core import PydanticCustomError

from pruning.spec.wording import SEVERAL_WORDS, WORD

MAX_WORDS = 20
"""Words of one class."""
Pieces = Literal["refuse", "mean"]
"""Treatment of a word of several tokens."""
ClassName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
"""Class name; the limit is that of a column's value that is kept as a label."""


def _different(words: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((word for index, word in enumerate(words) if word in words[:index]), None)
    if twice is not None:
        raise PydanticCustomError(  # without a field's name: it is found in the spec and in a task
            "not_distinct", "a class names the word {word} twice; name each word once", {"word": repr(twice)}
        )
    return words


def _plain(words: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """A list of one word is that word, so that equal specs are equal."""
    return words[0] if isinstance(words, tuple) and len(words) == 1 else words


ClassWords = Annotated[
    Annotated[ClassName, Tag(WORD)]
    | Annotated[tuple[ClassName, ...], Field(min_length=1, max_length=MAX_WORDS), AfterValidator(_different), Tag(SEVERAL_WORDS)],
    Discriminator(lambda given: SEVERAL_WORDS if isinstance(given, list | tuple) else WORD),
    AfterValidator(_plain),
]
"""The word of a class, or its words."""
WordTokens = int | Annotated[tuple[int, ...], Field(min_length=2)]
"""Token id of a word, or the ids of its pieces."""
ClassTokens = int | Annotated[tuple[WordTokens, ...], Field(min_length=1)]
"""Token id of a class with one word of one token, else the tokens of each of its words."""


def words_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """The words of one class."""
    return (given,) if isinstance(given, str) else tuple(given)


def first_words(label_words: Sequence[str | Sequence[str]]) -> tuple[str, ...]:
    """One word of each class, its first, which names the class where nothing else does."""
    return tuple(words_of(given)[0] for given in label_words)


def several_words(label_words: Sequence[str | Sequence[str]]) -> bool:
    """Whether any class has more words than one."""
    return any(not isinstance(given, str) for given in label_words)


def token_shares(tokens: ClassTokens) -> dict[int, Fraction]:
    """Token id → its share in the logit of a class; the shares add up to 1."""
    words = (tokens,) if isinstance(tokens, int) else tokens
    shares: dict[int, Fraction] = {}
    for word in words:
        ids = (word,) if isinstance(word, int) else word
        for number in ids:
            shares[number] = shares.get(number, Fraction()) + Fraction(1, len(words) * len(ids))
    return shares
