"""Warnings about a finished run: checks for a final mask that predicts a constant, is not better than one, or learned nothing.


Called by :mod:`pruning.training.finalize`, for the dense model of a baseline as well.
"""

import math
from dataclasses import dataclass

from pruning.events import WarningEvent
from pruning.quality.catalog import make_warning
from pruning.spec.custom_task import TaskKind

NOISE = 0.06
"""Signal-to-noise at or below which gradients count as noise; noise alone gives 0.053. Measured on ``minilm-l6-mlm``, one run each:
0.027 to 0.067 over the first 133 steps of MRPC, 300 x 8 rows; on SST-2 with a prior, 1,000 x 8 rows, 0.10 to 0.24 in the first
57 steps and 0.043 to 0.078 from there to step 266, in the ramp. A run that learns slowly is so near noise within 19 updates that
the number alone proves nothing: it is a reason for a result at chance, and not a separate warning."""
_SHARES = frozenset({"accuracy", "f1", "micro_f1", "macro_f1", "precision", "recall", "token_accuracy", "exact"})
_MOST_FREQUENT = {"classification": "class", "multilabel": "set of labels", "token-classification": "tag", "span": "answer, none,"}
"""Name of a constant prediction, by kind of task."""
_CERTAIN = 2.0
"""Standard errors by which a metric must exceed a constant's."""


@dataclass(frozen=True)
class Measured:
    """Predictions on the first validation split, summarised."""

    metric: str
    """The task's first metric."""
    value: float
    rows: int
    constant: bool
    """Whether all rows got the same prediction."""
    constant_metric: float | None
    """The metric of always predicting the most frequent class or set of labels; None where it is not known."""

    @property
    def at_chance(self) -> bool:
        """Whether a constant prediction has the same metric within the standard error of so many rows."""
        return self.constant or (
            self.constant_metric is not None and self.value <= self.constant_metric + _CERTAIN * self._standard_error
        )

    @property
    def _standard_error(self) -> float:
        """Binomial for shares of rows; 1/sqrt(rows) for correlations, which are near 0 here."""
        chance = self.constant_metric or 0.0
        variance = chance * (1 - chance) if self.metric in _SHARES else 1.0
        return math.sqrt(max(variance, 0.0) / max(self.rows, 1))


def judge(kind: TaskKind, final: Measured, signal: float | None) -> list[WarningEvent]:
    """Warnings about a final mask; ``signal`` is the scores' signal-to-noise as last measured, None where there is none."""
    found = []
    name, value = final.metric.replace("_", " "), f"{final.value:.4g}"
    if final.constant and kind == "classification":
        message = f"the final mask predicts one class for all {final.rows} validation rows, which has a {name} of {value}"
        found.append(make_warning("predicts_one_class", message))
    elif final.constant:
        message = f"the final mask predicts the same for all {final.rows} validation rows; its {name} is {value}"
        found.append(make_warning("predicts_one_value", message))
    elif final.at_chance:
        message = (
            f"the final {name} is {value}; always predicting the most frequent {_MOST_FREQUENT[kind]} has "
            f"{final.constant_metric:.4g} on the same {final.rows} validation rows"
            if kind in _MOST_FREQUENT
            else f"the final {name} is {value} on {final.rows} validation rows, which is not measurably above 0"
        )
        found.append(make_warning("no_better_than_constant", message))
    if final.at_chance and signal is not None and signal <= NOISE:
        message = f"the signal-to-noise of the scores' gradients was {signal:.3f} at the end of the run; noise alone gives 0.053"
        found.append(make_warning("scores_are_noise", message))
    return found


def judge_baseline(final: Measured) -> list[WarningEvent]:
    """The warning about a dense model that did not learn the task from the rows of the run either."""
    if not final.at_chance:
        return []
    name = final.metric.replace("_", " ")
    message = f"the {name} of the dense model, fine-tuned on the same rows, is {final.value:.4g} on {final.rows} validation rows"
    if final.constant_metric is not None:
        message += f"; a constant prediction has {final.constant_metric:.4g}"
    return [make_warning("baseline_at_chance", message)]
