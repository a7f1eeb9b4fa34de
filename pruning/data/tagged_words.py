"""Rows of token classification: lists of words with a tag each, checked row by row, and the first token of every word.

Words are joined by blanks for the tokenizer, whose offsets map tokens to words: a word's first token carries its label, its
other tokens have none. Called by :mod:`pruning.data.reader` (checks) and :mod:`pruning.data.encoding` (tokens).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pruning.data.iob import iob2_fault
from pruning.data.plain_text import tokenize_plain
from pruning.errors import PermanentError
from pruning.spec.tasks import Task

IGNORED = -100
"""Label of a token that has none: cross-entropy leaves it out."""


@dataclass(frozen=True)
class WordTokens:
    """First token of each word of each row; None for a word that has none, above all beyond the longest input."""

    first: list[list[int | None]]

    @property
    def missing(self) -> int:
        """Number of words without a token."""
        return sum(token is None for row in self.first for token in row)


def check_words(words: Any, where: str) -> list[str]:
    """The words of a row. Raises PermanentError (``rows_invalid``) for a value that is not a list of words, with the position."""
    if not isinstance(words, list) or not words:
        raise PermanentError(f"{where}: {words!r:.90} is not a list of words; give at least one", code="rows_invalid", param="task")
    for position, word in enumerate(words, 1):
        if not isinstance(word, str) or not word.strip():
            raise PermanentError(f"{where}: word {position} is {word!r:.100}, not a valid text", code="rows_invalid", param="task")
    return words


def check_tags(tags: Any, words: Sequence[str], task: Task, where: str) -> list[str]:
    """The tags of a row, by name, ids by the task's labels. Raises PermanentError (``labels_mismatch``), with the position."""
    if not isinstance(tags, list) or len(tags) != len(words):
        what = f"{len(tags)} tags" if isinstance(tags, list) else f"{tags!r:.100} in place of tags"
        raise _mismatch(f"{where}: {what} for {len(words)} words; give a list with one tag per word")
    named = [_tag_name(tag, task, f"{where}: tag {position}") for position, tag in enumerate(tags, 1)]
    fault = iob2_fault(named)
    if fault is not None:
        raise _mismatch(f"{where}: tag {fault[0] + 1}, {fault[1]}")
    return named


def require_known_tags(row: Sequence[str], known: Collection[str], where: str, *, found: bool) -> None:
    """Refuse a tag of a row that is not among the task's. Raises PermanentError (``labels_mismatch``) with its position.

    ``where`` names the row. ``found``: whether ``known`` were found in the training split, else the task names them.
    """
    for position, tag in enumerate(row, 1):
        if tag not in known:
            raise unknown_tag(tag, f"{where}: tag {position}", found=found)


def unknown_tag(tag: str, where: str, *, found: bool) -> PermanentError:
    """The error for a tag that is neither among the task's labels nor, where it has none, in the training split."""
    reason = "does not occur in the training split" if found else "is not among labels"
    return _mismatch(f"{where}, {tag!r:.100}, {reason}; name every tag in labels")


def first_tokens(tokenizer: Any, rows: Sequence[Sequence[str]], max_length: int) -> tuple[Any, WordTokens]:
    """Tokens of the joined words, cut at ``max_length``, and the first token of each word.

    Raises PermanentError (``tokenizer_invalid``) for a tokenizer without offsets.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise PermanentError(
            "the tokenizer of the model is written in Python and does not map tokens to words; store a tokenizer.json in the "
            "model's folder",
            code="tokenizer_invalid",
            param="model",
        )
    tokens = tokenize_plain(
        tokenizer,
        [" ".join(words) for words in rows],
        truncation=True,
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_offsets_mapping=True,
    )
    offsets = tokens.pop("offset_mapping")
    return tokens, WordTokens([_first_tokens(words, spans) for words, spans in zip(rows, offsets, strict=True)])


def _first_tokens(words: Sequence[str], spans: Sequence[tuple[int, int]]) -> list[int | None]:
    """First token of each word of one row, from the characters [start, end) of its tokens; a token that covers two words belongs to
    the first."""
    found: list[int | None] = []
    token = start = 0
    for word in words:
        end = start + len(word)
        while token < len(spans) and spans[token][1] <= start:  # of a word before, or a special token
            token += 1
        has_one = token < len(spans) and spans[token][0] < end and spans[token][1] > spans[token][0]
        found.append(token if has_one else None)
        token += has_one
        start = end + 1
    return found


def _tag_name(tag: Any, task: Task, where: str) -> str:
    if isinstance(tag, str):
        return tag
    if isinstance(tag, int) and not isinstance(tag, bool) and task.labels and 0 <= tag < len(task.labels):
        return task.labels[tag]
    remedy = (
        "ids need labels, the names of all tags in the order of their ids" if not task.labels else "give a name or id of labels"
    )
    raise _mismatch(f"{where} is {tag!r:.100}; {remedy}")


def _mismatch(message: str) -> PermanentError:
    return PermanentError(message, code="labels_mismatch", param="task.labels")
