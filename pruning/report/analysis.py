"""Figures of a report, from masks and predictions: density of matrices and heads, confusion, scatter and F1 by question.

Called by :mod:`pruning.training.report_data`.

Rows of a query, key or value matrix and columns of the output projection belong to heads in equal blocks. The role of a matrix
is the last part of its path, which transformers' encoders name in a few ways. With grouped keys and values each head
counts the ones that it shares. A row of a matrix that is empty gives a constant (its bias); a column that is empty reads nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pruning.data import squad, squad_v2
from pruning.data.iob import entity_scores
from pruning.evaluation.evaluate import Evaluation, Split
from pruning.spec.tasks import Task

Bits = npt.NDArray[np.bool_]


ROLES: dict[str, tuple[str, ...]] = {
    "query": ("query", "query_proj", "q_lin", "q_proj", "q"),
    "key": ("key", "key_proj", "k_lin", "k_proj", "k"),
    "value": ("value", "value_proj", "v_lin", "v_proj", "v"),
    "output": ("dense", "out_lin", "out_proj", "o_proj", "o", "Wo", "c_proj"),
    "fused": ("Wqkv", "c_attn"),
}
"""Role → last parts of module paths inside an attention module; fused: query, key and value stacked."""


_ROLE_OF = {name: role for role, names in ROLES.items() for name in names}


PARTS = ("query", "key", "value", "output")

MAX_CLASSES = 100
"""Most classes of a confusion matrix; larger ones are neither legible nor small."""


MAX_POINTS = 400
"""Pairs of a regression that are shown, evenly spread over the rows."""


BINS = 10


@dataclass(frozen=True)
class Head:
    """One head of one layer; densities are shares of its weights that are kept."""

    layer: str
    head: int
    density: float
    parts: dict[str, float]
    """Density of its block of each of PARTS."""


def matrix_table(masks: Mapping[str, npt.NDArray[np.bool_]]) -> list[dict[str, Any]]:
    """One row per matrix, in the order of ``masks`` (module path → bool [out, in]).

    ``path``, ``kind`` (the path behind the layer's number), ``layer``, ``rows``, ``columns``, ``kept``, ``density``,
    ``empty_rows``, ``empty_columns``.
    """
    table = []
    for path, mask in masks.items():
        kept = int(mask.sum())
        table.append(
            {
                "path": path,
                "kind": kind_of(path),
                "layer": layer_of(path),
                "rows": mask.shape[0],
                "columns": mask.shape[1],
                "kept": kept,
                "density": kept / mask.size,
                "empty_rows": int((~mask.any(axis=1)).sum()),
                "empty_columns": int((~mask.any(axis=0)).sum()),
            }
        )
    return table


def kind_of(path: str) -> str:
    """``bert.encoder.layer.3.attention.self.query`` → ``attention.self.query``."""
    parts = path.split(".")
    last = max(i for i, part in enumerate(parts) if part.isdigit())
    return ".".join(parts[last + 1 :])


def layer_of(path: str) -> str:
    """The numbers in a module path: ``encoder.layer.3.attention`` is of layer ``3``."""
    return ".".join(part for part in path.split(".") if part.isdigit())


def head_densities(masks: Mapping[str, Bits], heads: int, key_value_heads: int | None = None) -> list[Head]:
    """Every head of every layer whose four matrices are known, in the order of the masks; empty where none is.

    ``masks``: module path → bool [out, in]. ``key_value_heads`` (default ``heads``) is smaller for grouped attention.
    """
    shared = key_value_heads or heads
    if heads < 1 or heads % shared:
        return []
    layers: dict[str, dict[str, Bits]] = {}
    for path, mask in masks.items():
        for role, bits in _roles(path, mask):
            layers.setdefault(layer_of(path), {})[role] = bits
    found = []
    for layer, parts in layers.items():
        blocks = _blocks(parts, heads, shared)
        if blocks is not None:
            found += [_head(layer, number, blocks, heads // shared) for number in range(heads)]
    return found


def _roles(path: str, mask: Bits) -> list[tuple[str, Bits]]:
    """The parts among PARTS that a matrix holds."""
    *before, last = path.split(".")
    role = _ROLE_OF.get(last)
    if role is None or not any("att" in part for part in before) or "bottleneck" in before:
        return []
    if role != "fused":
        return [(role, mask)]
    if mask.shape[0] % 3:
        return []
    return list(zip(PARTS, np.split(mask, 3), strict=False))


def _blocks(parts: Mapping[str, Bits], heads: int, shared: int) -> dict[str, list[Bits]] | None:
    """The blocks of a layer by part; None where a part is missing or cannot be divided."""
    if set(PARTS) - parts.keys():
        return None
    blocks = {}
    for name in PARTS:
        count, axis = (shared if name in ("key", "value") else heads), int(name == "output")
        if parts[name].shape[axis] % count:
            return None
        blocks[name] = np.split(parts[name], count, axis=axis)
    return blocks


def _head(layer: str, number: int, blocks: Mapping[str, list[Bits]], group: int) -> Head:
    mine = {name: blocks[name][number // group if name in ("key", "value") else number] for name in PARTS}
    kept = sum(int(bits.sum()) for bits in mine.values())
    size = sum(bits.size for bits in mine.values())
    return Head(layer, number, kept / size, {name: float(bits.mean()) for name, bits in mine.items()})


def split_scores(evaluation: Evaluation, split: Split, task: Task) -> dict[str, Any]:
    """``split``, ``rows``, ``metrics``, by kind ``confusion``, ``points``, ``labels``, ``entities`` or ``f1_histogram``."""
    labels = split.rows.labels
    details: dict[str, Any] = {"split": split.rows.split, "rows": len(labels), "metrics": evaluation.metrics}
    if task.kind == "span":
        golds = [answers["text"] for answers in labels]
        if task.no_answers:
            scores = [squad_v2.question_f1(*pair) for pair in zip(evaluation.predictions, golds, strict=True)]
            return details | {"f1_histogram": _histogram(scores)}
        return details | {"f1_histogram": f1_histogram(evaluation.predictions, golds)}
    if task.kind == "regression":
        return details | {"points": spread(labels, evaluation.predictions)}
    if task.kind == "token-classification":
        return details | {"entities": entity_table(labels, evaluation.predictions)}
    if task.kind == "multilabel":
        return details | {"labels": label_table(labels, evaluation.predictions, task.class_names)}
    return details | {"confusion": confusion(labels, evaluation.predictions, task.class_names)}


def label_table(
    labels: Sequence[Sequence[int]], predictions: Sequence[Sequence[int]], names: Sequence[str]
) -> list[dict[str, Any]]:
    """For each label ``name``, ``rows`` that have it, ``given``, ``right``, and its ``f1``; in label-id order."""
    table = []
    for index, name in enumerate(names):
        has, given = [index in row for row in labels], [index in row for row in predictions]
        right = sum(a and b for a, b in zip(has, given, strict=True))
        f1 = 2 * right / (sum(has) + sum(given)) if right else 0.0
        table.append({"name": name, "rows": sum(has), "given": sum(given), "right": right, "f1": f1})
    return table


def entity_table(labels: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """For each type of entity ``name``, ``rows`` (gold entities), ``given``, ``right`` and ``f1``, in alphabetical order."""
    return [
        {"name": kind, "rows": score.gold, "given": score.given, "right": score.right, "f1": score.f1}
        for kind, score in entity_scores(labels, predictions).items()
    ]


def confusion(labels: Sequence[int], predictions: Sequence[int], names: Sequence[str]) -> dict[str, Any] | None:
    """``labels`` (names in class-id order) and ``counts`` [true][predicted]; None for more than MAX_CLASSES classes."""
    if len(names) > MAX_CLASSES:
        return None
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (np.asarray(labels, dtype=np.int64), np.asarray(predictions, dtype=np.int64)), 1)
    return {"labels": list(names), "counts": counts.tolist()}


def spread(labels: Sequence[float], predictions: Sequence[float]) -> list[list[float]]:
    """Up to MAX_POINTS pairs of label and prediction."""
    rows = np.unique(np.linspace(0, len(labels) - 1, min(MAX_POINTS, len(labels))).round().astype(int))
    return [[float(labels[row]), float(predictions[row])] for row in rows]


def f1_histogram(predictions: Sequence[str], golds: Sequence[Sequence[str]]) -> list[int]:
    """Questions by the F1 of their answers: BINS bins from 0 to 1, the last with 1 included."""
    scores = [squad.compute_metrics([answer], [gold])["f1"] for answer, gold in zip(predictions, golds, strict=True)]
    return _histogram(scores)


def _histogram(scores: Sequence[float]) -> list[int]:
    return [int(count) for count in np.histogram(scores, bins=BINS, range=(0, 1))[0]]
