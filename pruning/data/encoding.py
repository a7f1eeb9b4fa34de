"""Tokenized rows of a task, and padded batches of them as tensors.

Called by training, evaluation, exports and predictions, which all encode in the same way; :mod:`pruning.data.batching` says which
rows make a batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning.data import squad
from pruning.data.plain_text import tokenize_plain
from pruning.data.reader import Rows, with_known_tags
from pruning.data.tagged_words import IGNORED, WordTokens, first_tokens
from pruning.data.template_encoding import encode_in_template
from pruning.data.token_cache import TokenCache
from pruning.errors import PermanentError
from pruning.spec.tasks import Task

PAD_MULTIPLE = 8
"""Batches are padded to a multiple of this many tokens, which suits matrix kernels."""
PADDING_LOGIT = -1e4
"""Teacher logit of a padding position: probability 0, and still finite."""


@dataclass(frozen=True)
class EncodedRows:
    """Tokenized rows; for a span task, windows."""

    input_ids: list[list[int]]
    token_type_ids: list[list[int]] | None
    labels: torch.Tensor
    """int64 class ids or float32 numbers [rows]; multilabel: float32 0 and 1 [rows, C]; spans: int64 start and end tokens
    [windows, 2]; token classification: zeros [rows], see ``tag_ids``."""
    pad_id: int
    max_width: int | None = None
    """Tokens that the model can read at once, beyond which nothing is padded; None: any number."""
    windows: squad.Windows | None = None
    teacher_logits: list[npt.NDArray[np.float32]] | None = None
    """Teacher logits of each row, [C] or [tokens, 2]; empty for rows that the run does not use."""
    words: WordTokens | None = None
    """Token classification: first token of each word of each row."""
    tag_ids: list[list[int]] | None = None
    """Token classification: the label of each token, ``IGNORED`` where it has none; these are the labels of a batch."""

    def __len__(self) -> int:
        return len(self.input_ids)

    def take(self, numbers: Sequence[int]) -> "EncodedRows":
        """The rows of these numbers, in their order, without a teacher's logits; not of windows, which are several to a row."""
        return replace(
            self,
            input_ids=[self.input_ids[i] for i in numbers],
            token_type_ids=None if self.token_type_ids is None else [self.token_type_ids[i] for i in numbers],
            labels=self.labels[list(numbers)],
            words=None if self.words is None else WordTokens([self.words.first[i] for i in numbers]),
            tag_ids=None if self.tag_ids is None else [self.tag_ids[i] for i in numbers],
            teacher_logits=None,
        )

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row."""
        return np.array([len(ids) for ids in self.input_ids], dtype=np.int64)

    def batch(
        self, rows: Sequence[int], device: torch.device, *, padded_like: Sequence[int] | None = None
    ) -> dict[str, torch.Tensor]:
        """Inputs [B, S], ``labels``, and ``teacher`` logits if there are any.

        Padded on the right to a multiple of eight where the model reads as many. ``padded_like``: rows of a larger batch, of
        which these are a part, that set the width in place of ``rows``.
        """
        numbers = np.asarray(rows)
        longest = int(self.lengths[padded_like or rows].max())
        width = -(-longest // PAD_MULTIPLE) * PAD_MULTIPLE
        if self.max_width is not None:  # a table of 50 positions has none for the 56th
            width = max(longest, min(width, self.max_width))
        inside = np.arange(width) < self.lengths[numbers, np.newaxis]
        positions = (self._starts[numbers, np.newaxis] + np.arange(width))[inside]

        def padded(tokens: npt.NDArray[np.int32], padding: int) -> torch.Tensor:
            whole = np.full(inside.shape, padding, dtype=np.int64)
            whole[inside] = tokens[positions]
            return torch.from_numpy(whole)

        batch = {
            "input_ids": padded(self._tokens, self.pad_id),
            "attention_mask": torch.from_numpy(inside.astype(np.int64)),
            "labels": self.labels[torch.from_numpy(numbers)] if self._tags is None else padded(self._tags, IGNORED),
        }
        if self._types is not None:
            batch["token_type_ids"] = padded(self._types, 0)
        if self.teacher_logits is not None:
            batch["teacher"] = _stacked_logits([self.teacher_logits[row] for row in rows], width)
        return {name: to_device(tensor, device) for name, tensor in batch.items()}

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def _tokens(self) -> npt.NDArray[np.int32]:
        """All rows concatenated: a batch of 64 rows of 128 tokens is then cut out in 0.1 ms. A loop over the rows took 2.4 ms,
        as long as a large part of a step on a large GPU."""
        return _concatenated(self.input_ids)

    @cached_property
    def _tags(self) -> npt.NDArray[np.int32] | None:
        return None if self.tag_ids is None else _concatenated(self.tag_ids)

    def loss_terms(self, rows: Sequence[int]) -> list[int]:
        """Number of terms that each row adds to a batch's mean loss: its labelled tokens in token classification, else one."""
        if self.tag_ids is None:
            return [1] * len(rows)
        return [sum(tag != IGNORED for tag in self.tag_ids[row]) for row in rows]

    @cached_property
    def _types(self) -> npt.NDArray[np.int32] | None:
        return None if self.token_type_ids is None else _concatenated(self.token_type_ids)


def _concatenated(rows: list[list[int]]) -> npt.NDArray[np.int32]:
    return np.fromiter(chain.from_iterable(rows), dtype=np.int32)


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device; to a GPU from pinned memory, so that the copy is asynchronous and the host does not wait."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _stacked_logits(logits: list[npt.NDArray[np.float32]], width: int) -> torch.Tensor:
    """[B, C], or [B, S, 2] padded with :data:`PADDING_LOGIT`."""
    if logits[0].ndim == 1:
        return torch.from_numpy(np.stack(logits))
    padded = np.full((len(logits), width, logits[0].shape[1]), PADDING_LOGIT, dtype=np.float32)
    for i, rows in enumerate(logits):
        padded[i, : len(rows)] = rows
    return torch.from_numpy(padded)


class NoTokensError(PermanentError):
    """Rows have no token (``rows_invalid``); tokenizers that add no special tokens give none for an empty text."""

    def __init__(self, rows: Rows, positions: Sequence[int]) -> None:
        number = rows.number_of(positions[0])
        message = f"row {number} of split {rows.split!r} has no tokens; give every row some text"
        super().__init__(message, code="rows_invalid", param="task")
        self.positions = positions


def encode_fitting(
    rows: Rows, task: Task, tokenizer: Any, max_length: int, stride: int = 128, cache: TokenCache | None = None
) -> tuple[Rows, EncodedRows]:
    """:func:`encode_rows`, and the rows; where bad rows are skipped, both are without those that have no tokens.

    Raises PermanentError (``rows_invalid``, or ``too_many_bad_rows``)."""
    if task.kind == "token-classification" and not task.labels:
        rows = with_known_tags(rows, task, task.class_names)
    try:
        return rows, encode_rows(rows, task, tokenizer, max_length, stride, cache)
    except NoTokensError as fault:
        if rows.bad is None:
            raise
        empty = frozenset(fault.positions)
        for position in fault.positions:
            rows.bad.reject(rows.number_of(position), "no_tokens", fault)
        rows.bad.require_few()
    rows = rows.take([i for i in range(len(rows.labels)) if i not in empty])
    return rows, encode_rows(rows, task, tokenizer, max_length, stride, cache)


def encode_rows(
    rows: Rows, task: Task, tokenizer: Any, max_length: int, stride: int = 128, cache: TokenCache | None = None
) -> EncodedRows:
    """Tokenize as the model expects (``[CLS] a [SEP] b [SEP]``), cutting at ``max_length`` tokens, or, for spans, into
    windows of that length. With a template the texts alone are cut. Rows that ``cache`` has are not tokenized again.

    Raises PermanentError (``rows_invalid``) for a row without tokens."""
    windows = words = tag_ids = None
    if task.kind == "token-classification":
        tokens, words = first_tokens(tokenizer, rows.words or [], max_length)
        tag_ids = _tag_ids(tokens["input_ids"], words, rows.labels, task)
        labels = torch.zeros(len(rows.labels), dtype=torch.int64)
    elif task.kind == "span":
        tokens, windows = squad.encode_windows(tokenizer, rows.texts[0], rows.texts[1], max_length, stride)
        labels = squad.target_positions(windows, rows.labels)
    else:

        def tokenize() -> Any:
            if task.template is not None:
                return encode_in_template(tokenizer, task.template, rows.texts, max_length)
            return tokenize_plain(
                tokenizer, *rows.texts, truncation=True, max_length=max_length, padding=False, return_attention_mask=False
            )

        tokens = tokenize() if cache is None else cache.tokens(rows, tokenizer, max_length, tokenize, task.template)
        labels = _label_tensor(rows.labels, task)
    empty = [i for i, ids in enumerate(tokens["input_ids"]) if not ids]
    if empty:
        raise NoTokensError(rows, empty if windows is None else sorted({windows.question[i] for i in empty}))
    return EncodedRows(
        input_ids=tokens["input_ids"],
        token_type_ids=tokens.get("token_type_ids"),
        labels=labels,
        pad_id=tokenizer.pad_token_id,
        max_width=tokenizer.model_max_length,
        windows=windows,
        words=words,
        tag_ids=tag_ids,
    )


def _tag_ids(ids: list[list[int]], words: WordTokens, rows: Sequence[Sequence[str]], task: Task) -> list[list[int]]:
    """Label of each token: that of the word whose first token it is, else ``IGNORED``."""
    known = {tag: number for number, tag in enumerate(task.class_names)}
    found = []
    for tokens, first, tags in zip(ids, words.first, rows, strict=True):
        labels = [IGNORED] * len(tokens)
        for token, tag in zip(first, tags, strict=True):
            if token is not None:
                labels[token] = known[tag]
        found.append(labels)
    return found


def _label_tensor(labels: Sequence[Any], task: Task) -> torch.Tensor:
    if task.kind == "multilabel":
        found = torch.zeros((len(labels), task.classes))
        for row, ids in enumerate(labels):
            found[row, ids] = 1
        return found
    return torch.tensor(labels, dtype=torch.float32 if task.kind == "regression" else torch.int64)


def with_teacher_logits(rows: EncodedRows, teacher: list[npt.NDArray[np.float32]]) -> EncodedRows:
    """Copy of the rows with a teacher's logits."""
    return replace(rows, teacher_logits=teacher)
