"""Rows in a template: fixed tokens around a user's texts, of which the texts alone are cut.

Fixed texts and users' texts become tokens apart from each other, as in LM-BFF, and are concatenated: ``[CLS] text It was [MASK] .
[SEP]``. So the mask token stands where the template puts it, independent of the texts (:mod:`pruning.data.plain_text`), and
survives any length. A tokenizer without a mask token is a decoder's: its rows end where the word would follow. Called by
:mod:`pruning.data.encoding`.
"""

from collections.abc import Sequence
from typing import Any

from pruning.data.plain_text import tokenize_plain
from pruning.errors import PermanentError
from pruning.spec.templates import Chunk, decoder_error, ends_with_mask, split_template, too_long_error

Ids = list[int]


def encode_in_template(tokenizer: Any, template: str, texts: Sequence[Sequence[str]], max_length: int) -> dict[str, list[Ids]]:
    """``input_ids``, and ``token_type_ids`` (all 0) where the tokenizer has them, of at most ``max_length`` tokens a row.

    ``texts`` has one list per text column; of two texts the longer one is cut first. Raises PermanentError with ``param``
    ``template``: ``template_invalid``, ``template_unsupported``, ``template_too_long``.
    """
    first, last = _frame(tokenizer)
    if tokenizer.mask_token_id is None:
        if not ends_with_mask(template):
            raise decoder_error()
        last = []
    parts = split_template(template)
    fixed = [_fixed_ids(tokenizer, part) if isinstance(part, Chunk) else [] for part in parts]
    limit = max_length - len(first) - len(last) - sum(map(len, fixed))
    if limit < len(texts):
        raise too_long_error(max_length - limit, len(texts), max_length)
    columns = {
        part.column: _text_ids(tokenizer, texts[part.column], limit, after_blank=part.after_blank)
        for part in parts
        if not isinstance(part, Chunk)
    }
    rows = []
    for number in range(len(texts[0])):
        cut = _cut([columns[column][number] for column in range(len(texts))], limit, tokenizer.truncation_side)
        middle = [
            ids
            for part, between in zip(parts, fixed, strict=True)
            for ids in (between if isinstance(part, Chunk) else cut[part.column])
        ]
        rows.append([*first, *middle, *last])
    found = {"input_ids": rows}
    if "token_type_ids" in tokenizer.model_input_names:
        found["token_type_ids"] = [[0] * len(ids) for ids in rows]
    return found


def _frame(tokenizer: Any) -> tuple[Ids, Ids]:
    """Special tokens in front of a text and behind it."""
    probe = tokenizer("a", return_special_tokens_mask=True)
    ids, special = probe["input_ids"], probe["special_tokens_mask"]
    start = special.index(0)
    end = len(special) - special[::-1].index(0)
    return ids[:start], ids[end:]


def _fixed_ids(tokenizer: Any, chunk: Chunk) -> Ids:
    """Tokens of a chunk; the tokenizer sees its mask token in place, so that adjacent words are tokenized as in pretraining."""
    mask = tokenizer.mask_token if chunk.behind is not None and tokenizer.mask_token_id is not None else ""
    text = f"{chunk.before}{mask}{chunk.behind or ''}"
    ids: Ids = tokenizer(text, add_special_tokens=False, split_special_tokens=False)["input_ids"] if text else []
    wanted = [tokenizer.mask_token_id] if mask else []
    if [token for token in ids if token in tokenizer.all_special_ids] != wanted:
        raise PermanentError(
            f"{text!r} of the template has words that the model does not know, or spells a special token; use other words",
            code="template_invalid",
            param="template",
        )
    return ids


def _text_ids(tokenizer: Any, texts: Sequence[str], most: int, *, after_blank: bool) -> list[Ids]:
    given = [f" {text}" for text in texts] if after_blank else list(texts)
    found: list[Ids] = tokenize_plain(
        tokenizer, given, add_special_tokens=False, truncation=True, max_length=most, return_attention_mask=False
    )["input_ids"]
    return found


def _cut(texts: list[Ids], limit: int, side: str) -> list[Ids]:
    """One or two texts cut to ``limit`` tokens together, the longer one first."""
    lengths = [len(text) for text in texts]
    if sum(lengths) <= limit:
        return texts
    if len(lengths) == 1:
        lengths = [limit]
    elif min(lengths) <= limit // 2:
        lengths = [min(length, limit - min(lengths)) for length in lengths]
    else:
        lengths = [limit - limit // 2, limit // 2]
    return [text[len(text) - length :] if side == "left" else text[:length] for text, length in zip(texts, lengths, strict=True)]
