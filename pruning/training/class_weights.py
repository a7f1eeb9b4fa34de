"""Class weights of a run: the numbers behind ``class_weights`` of a spec, from the training rows, and the weight of every row.

Balanced weights of classes are n / (C · n_c), as scikit-learn's ``compute_class_weight`` has them (after King, Zeng, Logistic
Regression in Rare Events Data, 2001), over the C classes that have rows; those of labels are rows without it / rows with it, as
torch's documentation of ``BCEWithLogitsLoss`` proposes. Made by :mod:`pruning.training.inputs`; used by the loss, by
:class:`pruning.training.run.Run` and by the initialisation of a read-out at the frequencies of the classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pruning.data.encoding import EncodedRows
from pruning.events import EventSink, LogEvent
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import Task

ROW_WEIGHTS = "row_weights"
"""Tensor of a batch with class weights: float32 [B]."""
_SHOWN = 20
"""Most classes in a message; the report has all of them."""


@dataclass(frozen=True)
class ClassWeights:
    """One weight per class, or, in a multilabel task, per label: of the rows that have it."""

    values: tuple[float, ...]
    """In class-id order, as they enter the loss."""
    rows: tuple[int, ...]
    """Training rows of each class, or with each label."""
    undetermined: tuple[int, ...]
    """Class ids whose balanced weight the rows do not determine (no row, or every row, has the label); they have weight 1."""
    multilabel: bool

    @classmethod
    def from_rows(cls, spec: PruningSpec, task: Task, train: EncodedRows) -> "ClassWeights | None":
        """Class weights of a spec on its training rows, as they are after ``train_rows`` and a share held out; None where it has
        none."""
        if spec.class_weights is None:
            return None
        multilabel = task.kind == "multilabel"
        labels = train.labels.numpy()
        rows = labels.sum(axis=0) if multilabel else np.bincount(labels, minlength=task.classes)
        rows = rows.astype(np.int64)
        counts = tuple(int(count) for count in rows)
        if spec.class_weights != "balanced":
            return cls(spec.class_weights, counts, (), multilabel)
        determined = (rows > 0) & (rows < len(labels)) if multilabel else rows > 0
        others = len(labels) - rows if multilabel else np.full(len(rows), len(labels) / max(int(determined.sum()), 1))
        values = np.where(determined, others / np.maximum(rows, 1), 1.0)
        return cls(tuple(float(value) for value in values), counts, tuple(int(i) for i in np.flatnonzero(~determined)), multilabel)

    @property
    def positive(self) -> torch.Tensor | None:
        """float32 [C], the weight of the rows with each label; None for classes, where each row has a weight instead."""
        return torch.tensor(self.values, dtype=torch.float32) if self.multilabel else None

    def of_rows(self, labels: torch.Tensor, micro_batches: Sequence[torch.Tensor], *, by_row: bool) -> torch.Tensor | None:
        """float32 [B], the weight of the rows with these labels (int64 [B]), so that a mean over the rows of an optimizer step is
        the weighted mean Σ w l / Σ w over all of them, as torch's ``cross_entropy`` has it for one batch; None for labels.

        ``micro_batches`` are the labels of all rows of the step. ``by_row``: whether all rows have equal weight in the loss;
        else all micro-batches do.
        """
        if self.multilabel:
            return None
        values = torch.tensor(self.values, dtype=torch.float64)
        means = [float(values[part].mean()) for part in ([torch.cat(list(micro_batches))] if by_row else micro_batches)]
        return (values[labels] / (sum(means) / len(means))).float()

    def table(self, task: Task) -> list[dict[str, Any]]:
        """``class``, ``rows`` and ``weight`` of each class, for the report; weight None where the rows do not determine it."""
        return [
            {"class": name, "rows": self.rows[i], "weight": None if i in self.undetermined else self.values[i]}
            for i, name in enumerate(task.class_names)
        ]

    def announce(self, task: Task, spec: PruningSpec, emit: EventSink) -> None:
        """Log the weights in use, and the classes that have none."""
        origin = "balanced" if spec.class_weights == "balanced" else "as given"
        listed = [
            f"{row['class']} {row['weight']:.4g} ({row['rows']} rows)" for row in self.table(task) if row["weight"] is not None
        ]
        emit(LogEvent(message=f"class weights, {origin}: {_first(listed)}"))
        if self.undetermined:
            names = [task.class_names[i] for i in self.undetermined]
            fault = "no training row, or every one, has them" if self.multilabel else "no training row has them"
            emit(LogEvent(level="warning", message=f"no balanced weight for {_first(names)}: {fault}; they count with weight 1"))
        absent = [task.class_names[i] for i, rows in enumerate(self.rows) if rows == 0 and i not in self.undetermined]
        if absent:
            emit(LogEvent(level="warning", message=f"the weight of {_first(absent)} has no effect: no training row has them"))


def log_weights(weights: ClassWeights | None) -> npt.NDArray[np.float64] | None:
    """[C]: what the weights add to the logarithm of a class's frequency, or of a label's odds, at which a read-out starts."""
    return None if weights is None else np.log(np.array(weights.values))


def _first(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
