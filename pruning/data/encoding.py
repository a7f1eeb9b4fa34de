"""A task's rows, tokenized and cut into batches of similar length; every batch is a function of seed and position.

Nothing here has a cursor: batch i of a run is computed from ``(seed, i)``, so a resumed run needs only its step number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning.data import squad
from pruning.data.reader import Rows
from pruning.data.token_cache import TokenCache
from pruning.errors import PermanentError
from pruning.spec.tasks import Task

PAD_MULTIPLE = 8
"""Batches are padded to a multiple of this, which matrix kernels like."""
POOL_BATCHES = 50
"""Batches sorted by length together: enough that padding is small, few enough that the order stays random."""
PADDING_LOGIT = -1e4
"""Teacher logit of a padding position: no probability, and still finite."""


@dataclass(frozen=True)
class EncodedRows:
    """Tokenized rows; for a span task, windows."""

    input_ids: list[list[int]]
    token_type_ids: list[list[int]] | None
    labels: torch.Tensor
    """int64 class ids or float32 numbers [rows]; for spans int64 start and end tokens [windows, 2]."""
    pad_id: int
    windows: squad.Windows | None = None
    teacher_logits: list[npt.NDArray[np.float32]] | None = None
    """Teacher logits of each row, [C] or [tokens, 2]."""

    def __len__(self) -> int:
        return len(self.input_ids)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row."""
        return np.array([len(ids) for ids in self.input_ids], dtype=np.int64)

    def batch(
        self, rows: Sequence[int], device: torch.device, *, padded_like: Sequence[int] | None = None
    ) -> dict[str, torch.Tensor]:
        """Inputs [B, S], padded on the right to a multiple of eight, ``labels``, and ``teacher`` logits if there are any.

        Padded as a batch of the rows ``beside`` would be, of which these are a part, where there are such.
        """
        numbers = np.asarray(rows)
        width = -(-int(self.lengths[padded_like or rows].max()) // PAD_MULTIPLE) * PAD_MULTIPLE
        inside = np.arange(width) < self.lengths[numbers, np.newaxis]
        places = (self._starts[numbers, np.newaxis] + np.arange(width))[inside]

        def padded(tokens: npt.NDArray[np.int32], padding: int) -> torch.Tensor:
            whole = np.full(inside.shape, padding, dtype=np.int64)
            whole[inside] = tokens[places]
            return torch.from_numpy(whole)

        batch = {
            "input_ids": padded(self._tokens, self.pad_id),
            "attention_mask": torch.from_numpy(inside.astype(np.int64)),
            "labels": self.labels[torch.from_numpy(numbers)],
        }
        if self._types is not None:
            batch["token_type_ids"] = padded(self._types, 0)
        if self.teacher_logits is not None:
            batch["teacher"] = _stacked_logits([self.teacher_logits[row] for row in rows], width)
        return {name: _to_device(tensor, device) for name, tensor in batch.items()}

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def _tokens(self) -> npt.NDArray[np.int32]:
        """All rows one behind the other: a batch of 64 rows of 128 tokens is then cut out in 0.1 ms; a loop over the rows
        took 2.4, in which a large GPU could do a good part of a step."""
        return _concatenated(self.input_ids)

    @cached_property
    def _types(self) -> npt.NDArray[np.int32] | None:
        return None if self.token_type_ids is None else _concatenated(self.token_type_ids)


def _concatenated(rows: list[list[int]]) -> npt.NDArray[np.int32]:
    return np.fromiter(chain.from_iterable(rows), dtype=np.int32)


def _to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """On the device; to a GPU from pinned memory, so that the copy takes its turn there and the host does not wait for it."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _stacked_logits(logits: list[npt.NDArray[np.float32]], width: int) -> torch.Tensor:
    """[B, C], or [B, S, 2] padded with :data:`NOTHING`."""
    if logits[0].ndim == 1:
        return torch.from_numpy(np.stack(logits))
    padded = np.full((len(logits), width, logits[0].shape[1]), PADDING_LOGIT, dtype=np.float32)
    for i, rows in enumerate(logits):
        padded[i, : len(rows)] = rows
    return torch.from_numpy(padded)


def encode_rows(
    rows: Rows, task: Task, tokenizer: Any, max_length: int, stride: int = 128, cache: TokenCache | None = None
) -> EncodedRows:
    """Tokenize as usual for the model (``[CLS] a [SEP] b [SEP]``), cutting at ``max_length`` tokens, or, for spans, into
    windows of that length. Rows that ``cache`` has are not tokenized again."""
    windows = None
    if task.kind == "span":
        tokens, windows = squad.encode_windows(tokenizer, rows.texts[0], rows.texts[1], max_length, stride)
        labels = squad.target_positions(windows, rows.labels)
    else:

        def tokenize() -> Any:
            return tokenizer(
                *rows.texts, truncation=True, max_length=max_length, padding=False, return_attention_mask=False
            )

        tokens = tokenize() if cache is None else cache.tokens(rows, tokenizer, max_length, tokenize)
        labels = torch.tensor(rows.labels, dtype=torch.float32 if task.kind == "regression" else torch.int64)
    for i, ids in enumerate(tokens["input_ids"]):
        if not ids:  # tokenizers that add no special tokens make nothing of an empty text
            raise PermanentError(
                f"row {i + 1} of split {rows.split!r} has no tokens; give every row some text",
                code="rows_invalid", param="task",
            )  # fmt: skip
    return EncodedRows(
        input_ids=tokens["input_ids"],
        token_type_ids=tokens.get("token_type_ids"),
        labels=labels,
        pad_id=tokenizer.pad_token_id,
        windows=windows,
    )


def with_teacher_logits(rows: EncodedRows, teacher: list[npt.NDArray[np.float32]]) -> EncodedRows:
    """The same rows with a teacher's logits beside them."""
    return replace(rows, teacher_logits=teacher)


def training_batches(lengths: npt.NDArray[np.int64], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Row numbers of every batch of one epoch, in order; each row once, rows of a batch of similar length."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL_BATCHES * batch_size):
        pool = order[start : start + POOL_BATCHES * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size].tolist() for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


class BatchStream:
    """Endless micro-batches over the epochs, addressable by number: ``stream.rows(i)`` depends on seed and i alone."""

    def __init__(self, lengths: npt.NDArray[np.int64], batch_size: int, seed: int) -> None:
        self.per_epoch = -(-len(lengths) // batch_size)
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self._epoch = -1
        self._batches: list[list[int]] = []

    def rows(self, i: int) -> list[int]:
        """Row numbers of micro-batch ``i`` of the run, counted from 0 over all epochs."""
        epoch, position = divmod(i, self.per_epoch)
        if epoch != self._epoch:
            self._batches = training_batches(self._lengths, self._batch_size, self._seed, epoch)
            self._epoch = epoch
        return self._batches[position]


def evaluation_batches(lengths: npt.NDArray[np.int64], batch_size: int) -> Iterator[list[int]]:
    """Row numbers of batches over all rows, longest first (so that memory runs out at once or never)."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size].tolist()
