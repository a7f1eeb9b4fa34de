"""Tokenization of users' texts, in which the spelling of a special token is text like any other.

Otherwise a mask token in a text would set the position that a head reads, a separator would end a text, and padding would move
a decoder's last token. Called by :mod:`pruning.data.encoding` and :mod:`pruning.data.squad` for every text of training, evaluation,
predictions and exports. Texts that spell no special token get the tokens they always had.
"""

from collections.abc import Sequence
from typing import Any


def tokenize_plain(tokenizer: Any, *texts: Sequence[str], **options: Any) -> Any:
    """``tokenizer(*texts, **options)``, where special tokens come from the tokenizer's own frame alone.

    The tokenizer cuts their spellings like other words. A vocabulary may hold them as words (those of Unigram models do, with the
    best score of all): such a token becomes the unknown one, at its place, so that offsets and types stay right.
    """
    tokens = tokenizer(*texts, split_special_tokens=True, return_special_tokens_mask=True, **options)
    frames = tokens.pop("special_tokens_mask")
    reserved = _reserved_ids(tokenizer)
    stand_in: int | None = None
    for ids, frame in zip(tokens["input_ids"], frames, strict=True):
        if reserved.isdisjoint(ids):
            continue
        for i, (token, framed) in enumerate(zip(ids, frame, strict=True)):
            if not framed and token in reserved:
                stand_in = _stand_in(tokenizer, reserved) if stand_in is None else stand_in
                ids[i] = stand_in
    return tokens


def _reserved_ids(tokenizer: Any) -> frozenset[int]:
    """Ids that a text may not contain: every special token's but that of unknown words, unless it has another task, too."""
    roles = ("pad", "mask", "cls", "sep", "bos", "eos")
    ids: set[int | None] = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    ids |= {getattr(tokenizer, f"{role}_token_id", None) for role in roles}
    return frozenset(token for token in ids if token is not None)


def _stand_in(tokenizer: Any, reserved: frozenset[int]) -> int:
    """Replacement for forbidden ids: the unknown token, else a question mark, else the first ordinary token."""
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id not in reserved:
        return int(tokenizer.unk_token_id)
    marks = tokenizer("?", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return int(next(token for token in (*marks, *range(len(tokenizer))) if token not in reserved))
