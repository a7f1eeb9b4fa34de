"""A task's rows, tokenized and cut into batches of similar length; every batch is a function of seed and position.

Nothing here has a cursor: batch i of a run is computed from ``(seed, i)``, so a resumed run needs only its step number.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning.errors import Permanent
from pruning.folder import find_folder, require_folder
from pruning.hub_data import load_hub_split
from pruning.rows import find_split
from pruning.sources import Sources
from pruning.tasks import Task

MULTIPLE = 8
"""Batches are padded to a multiple of this, which matrix kernels like."""
POOL = 50
"""Batches sorted by length together: enough that padding is small, few enough that the order stays random."""


@dataclass(frozen=True)
class Rows:
    """Columns of a split, as read."""

    texts: tuple[list[str], ...]
    """One list per text column."""
    labels: list[Any]
    split: str


@dataclass(frozen=True)
class Encoded:
    """Tokenized rows."""

    input_ids: list[list[int]]
    token_type_ids: list[list[int]] | None
    labels: torch.Tensor
    """int64 class ids, or float32 numbers, [rows]."""
    pad_id: int

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row."""
        return np.array([len(ids) for ids in self.input_ids], dtype=np.int64)

    def batch(self, rows: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """Inputs and labels of some rows, padded on the right to a multiple of eight: each [B, S], labels [B]."""
        longest = max(len(self.input_ids[row]) for row in rows)
        width = -(-longest // MULTIPLE) * MULTIPLE
        ids = torch.full((len(rows), width), self.pad_id, dtype=torch.int64)
        attention = torch.zeros((len(rows), width), dtype=torch.int64)
        types = torch.zeros((len(rows), width), dtype=torch.int64)
        for i, row in enumerate(rows):
            length = len(self.input_ids[row])
            ids[i, :length] = torch.tensor(self.input_ids[row])
            attention[i, :length] = 1
            if self.token_type_ids is not None:
                types[i, :length] = torch.tensor(self.token_type_ids[row])
        batch = {"input_ids": ids, "attention_mask": attention, "labels": self.labels[torch.tensor(rows)]}
        if self.token_type_ids is not None:
            batch["token_type_ids"] = types
        return {name: tensor.to(device) for name, tensor in batch.items()}


def load_rows(task: Task, split: str, sources: Sources, limit: int | None = None) -> Rows:
    """The named columns of a split: from the data sets directory if the task has a folder there, else from the hub.

    Raises Permanent (missing split or column, unreadable row with its number) or Temporary (``hub_unreachable``).
    """
    folder = find_folder(sources.datasets_dir, task.name)
    if folder is None and sources.hub:
        columns = load_hub_split(task, split, limit)
    else:
        if folder is None:
            folder = require_folder(sources.datasets_dir, task.name, kind="dataset", param="task")
        columns = _read_jsonl(find_split(folder, split), (*task.text, task.label), limit)
    rows = Rows(tuple(columns[name] for name in task.text), columns[task.label], split)
    _check(rows, task)
    return rows


def _read_jsonl(file: Path, names: Sequence[str], limit: int | None) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in names}
    opener = gzip.open if file.suffix == ".gz" else open
    number = 0
    try:
        with opener(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if limit is not None and number > limit:
                    break
                row = json.loads(line)
                for name, column in columns.items():
                    column.append(row[name])
    except KeyError as missing:
        raise _invalid(file, number, f"has no column {missing}", "column_missing") from missing
    except (OSError, EOFError, ValueError, TypeError) as fault:
        raise _invalid(file, number, f"cannot be read: {fault}", "rows_invalid") from fault
    return columns


def _invalid(file: Path, row: int, fault: str, code: str) -> Permanent:
    return Permanent(f"row {row} of {file.name} of data set {file.parent.name!r} {fault}", code=code, param="task")


def _check(rows: Rows, task: Task) -> None:
    """Refuse what could not be trained on: no rows, texts that are not text, labels that are not of this task."""
    where = f"split {rows.split!r} of task {task.name!r}"
    if not rows.labels:
        raise Permanent(f"{where} has no rows", code="rows_missing", param="task")
    for column, texts in zip(task.text, rows.texts, strict=True):
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise Permanent(
                    f"row {i + 1} of {where}: column {column!r} is not text", code="rows_invalid", param="task"
                )
    classes = len(task.label_words)
    for i, label in enumerate(rows.labels):
        number = isinstance(label, int | float) and not isinstance(label, bool)
        if task.kind == "regression" and not (number and np.isfinite(label)):
            raise Permanent(
                f"row {i + 1} of {where}: label {label!r} is not a number", code="labels_mismatch", param="task"
            )
        if task.kind == "classification" and not (number and label in range(classes)):
            raise Permanent(
                f"row {i + 1} of {where}: label {label!r} is not a class id from 0 to {classes - 1}; "
                f"label_words gives {classes} classes, use one word per class and labels that count from 0",
                code="labels_mismatch", param="label_words",
            )  # fmt: skip


def encode(rows: Rows, task: Task, tokenizer: Any, max_length: int) -> Encoded:
    """Tokenize as usual for the model (``[CLS] a [SEP] b [SEP]``), cutting at ``max_length`` tokens."""
    tokens = tokenizer(*rows.texts, truncation=True, max_length=max_length, padding=False, return_attention_mask=False)
    dtype = torch.float32 if task.kind == "regression" else torch.int64
    return Encoded(
        input_ids=tokens["input_ids"],
        token_type_ids=tokens.get("token_type_ids"),
        labels=torch.tensor(rows.labels, dtype=dtype),
        pad_id=tokenizer.pad_token_id,
    )


def training_batches(lengths: npt.NDArray[np.int64], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Row numbers of every batch of one epoch, in order; each row once, rows of a batch of similar length."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL * batch_size):
        pool = order[start : start + POOL * batch_size]
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
