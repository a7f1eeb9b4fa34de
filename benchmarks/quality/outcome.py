"""Result of one run of any recipe: metrics, learning curve, seconds, sizes, and a way to evaluate other rows.

Made by :mod:`benchmarks.quality.pruning_run` and :mod:`benchmarks.quality.rivals`, written down by
:mod:`benchmarks.quality.one_run`.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from pruning.data.batching import BatchStream
from pruning.sources import Sources

Notify = Callable[[str], None]
"""Where a run says how far it is."""
Point = tuple[int, float, int, float, float]
"""Of a learning curve: steps, seconds of training until then, rows seen, primary metric on the validation rows, seconds of
processor time until then."""


@dataclass(frozen=True)
class Outcome:
    """A finished run."""

    primary_metric: str
    metrics: dict[str, float]
    """On the validation rows, at the end; the last state, not the best."""
    curve: list[Point]
    seconds_training: float
    """Of the steps alone: without loading, tokenizing and evaluations."""
    cpu_seconds_training: float
    """The same in processor time of all threads, which other programs on the machine disturb less."""
    seconds_total: float
    """From loading to the artifacts, evaluations included; without that of the held-out rows."""
    sparsity: float | None
    """As measured; None for a dense model."""
    one_class: bool
    """Whether all validation rows get the same prediction."""
    artifact_bytes: int
    """What has to be stored for the task in addition to the base model."""
    extra_parameters: int
    """Numbers stored in addition to the base model and the mask."""
    evaluate: Callable[[Sources], dict[str, float]]
    """Metrics on the validation split of a data set directory."""


@dataclass(frozen=True)
class Moment:
    """A point in time by both clocks."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Self:
        """By the clock and by this process's processor time."""
        return cls(time.perf_counter(), time.process_time())

    def __add__(self, other: "Moment") -> "Moment":
        return Moment(self.wall + other.wall, self.cpu + other.cpu)

    def __sub__(self, other: "Moment") -> "Moment":
        return Moment(self.wall - other.wall, self.cpu - other.cpu)


def rows_until(stream: BatchStream, steps: int) -> int:
    """Rows of the first ``steps`` micro-batches."""
    return sum(len(stream.rows(i)) for i in range(steps))


def is_constant(predictions: Iterable[Any]) -> bool:
    """Whether there is one prediction for all rows."""
    return len(set(predictions)) <= 1
