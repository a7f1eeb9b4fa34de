"""Agreement of an export with the dense model, on rows of the task where they are available, else on random tokens.

Called by :mod:`pruning.export.run`.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from pruning.data.encoding import EncodedRows, encode_fitting
from pruning.data.reader import load_rows
from pruning.errors import PermanentError, PruningError
from pruning.evaluation.evaluate import compute_logits
from pruning.inference.pruned_model import PrunedModel, task_of
from pruning.sources import Sources

ROWS = 64
_CLOSE = 0.01
"""Numbers (regression) that differ by less count as the same prediction."""
_EXACT = 1e-4
"""Largest effect of rounding on a logit of size 1; measured on BERT-base: 1e-5."""


@dataclass(frozen=True)
class ComparisonRows:
    """Rows on which an export is compared."""

    encoded: EncodedRows
    source: Literal["validation", "random"]


@dataclass(frozen=True)
class Agreement:
    """Agreement of two models on the same rows."""

    equal: float
    max_difference: float
    largest: float
    """Largest logit of the first model, the scale of the difference."""

    @property
    def exact(self) -> bool:
        """Whether rounding explains the difference."""
        return self.max_difference <= _EXACT * max(1.0, self.largest)


def comparison_rows(pruned: PrunedModel, sources: Sources) -> ComparisonRows:
    """The first validation rows, or as many rows of random tokens where the data set cannot be had."""
    spec = pruned.info.spec
    task = task_of(pruned.info)
    if task.bad_rows_limit is not None:  # bad rows among so few may be more than their share
        task = replace(task, bad_rows_limit=1.0)
    try:
        rows = load_rows(task, task.validation_splits[0], sources, ROWS)
        _, encoded = encode_fitting(rows, task, pruned.tokenizer, pruned.info.max_length, spec.stride)
    except PruningError:
        return ComparisonRows(random_rows(pruned, [min(8 + (5 * i) % 57, pruned.info.max_length) for i in range(ROWS)]), "random")
    return ComparisonRows(encoded, "validation")


def random_rows(pruned: PrunedModel, lengths: list[int], seed: int = 0) -> EncodedRows:
    """Rows of random ordinary tokens between the tokenizer's own marks, of the given lengths in tokens."""
    tokenizer = pruned.tokenizer
    source = np.random.default_rng(seed)
    special = set(tokenizer.all_special_ids)
    words = np.array([i for i in range(len(tokenizer)) if i not in special])
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    rows = []
    for length in lengths:
        ids = source.choice(words, length).tolist()
        ids[0] = ids[0] if start is None else start
        ids[-1] = ids[-1] if end is None else end
        if pruned.info.template is not None and tokenizer.mask_token_id is not None and length > 2:
            ids[length // 2] = tokenizer.mask_token_id
        rows.append(ids)
    typed = "token_type_ids" in tokenizer.model_input_names
    types = [[0] * len(ids) for ids in rows] if typed else None
    labels = torch.zeros(len(rows), dtype=torch.int64)
    return EncodedRows(rows, types, labels, tokenizer.pad_token_id, tokenizer.model_max_length)


def compare(before: PrunedModel, after: PrunedModel, rows: ComparisonRows) -> Agreement:
    """Logits and predictions of both. Raises PermanentError where the export computes no number."""
    ours = compute_logits(before.head, rows.encoded, before.device)
    theirs = compute_logits(after.head, rows.encoded, after.device)
    if not all(np.isfinite(logits).all() for logits in theirs):
        raise PermanentError("the export gives logits that are not numbers", code="export_wrong", param="exports")
    return agreement_of(ours, theirs, before.info.kind)


def agreement_of(ours: list[npt.NDArray[np.float32]], theirs: list[npt.NDArray[np.float32]], kind: str) -> Agreement:
    """Agreement of the logits of two models on the same rows."""
    same = [_same(a, b, kind) for a, b in zip(ours, theirs, strict=True)]
    return Agreement(
        equal=sum(same) / len(same),
        max_difference=max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True)),
        largest=max(float(np.abs(a).max()) for a in ours),
    )


def _same(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32], kind: str) -> bool:
    if kind == "regression":
        return bool(np.abs(ours - theirs).max() < _CLOSE)
    if kind == "multilabel":
        return bool(((ours > 0) == (theirs > 0)).all())
    return bool((ours.argmax(axis=0 if kind == "span" else -1) == theirs.argmax(axis=0 if kind == "span" else -1)).all())
