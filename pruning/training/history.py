"""History of a run step by step, small enough to be part of every checkpoint, so that a resumed run has its whole curves.

Filled by :mod:`pruning.training.progress`, read by :mod:`pruning.training.report_data`.
"""

import json
import time
from typing import Any

import numpy as np
import torch

from pruning.events import EvaluationEvent, Event, EventSink, WarningEvent
from pruning.training.step import StepResult

POINTS = 1000
"""Most points that are kept: more than a chart has pixels. Once there are as many, two each become one."""
EVALUATIONS = 400
"""Most evaluations that are kept during training; beyond, every second one is dropped."""
COLUMNS = ("step", "loss", "grad_norm", "regularizer", "remaining", "learning_rate")
_MEANS = (1, 2)
"""Columns that are means over the steps of a point; the others are those of its last step."""


class History:
    """Points of equal numbers of steps, and evaluations.

    Which steps make a point depends on their numbers alone: a run that was interrupted has the points of one that was not.
    """

    def __init__(self) -> None:
        self.stride = 1
        """Steps of a point."""
        self.points: list[list[float]] = []
        """One row of COLUMNS each."""
        self.evaluations: list[dict[str, Any]] = []
        """The fields of EvaluationEvent of each, but ``time``."""
        self.warnings: dict[str, dict[str, Any]] = {}
        """``code``, ``message``, ``remedy`` of each warning, by code."""
        self.signal: list[tuple[int, float]] = []
        """Step and signal-to-noise of each measurement, which :mod:`pruning.training.progress` makes at fixed steps."""
        self.resumed: list[int] = []
        """Steps after which the run was interrupted and went on."""
        self._open: list[list[float]] = []
        self._earlier_seconds = 0.0
        self._began = time.monotonic()
        self._stopped: float | None = None

    @property
    def seconds(self) -> float:
        """Duration of the run until now or :meth:`stop_clock`, over all attempts, as far as checkpoints have recorded it."""
        return self._earlier_seconds + (time.monotonic() if self._stopped is None else self._stopped) - self._began

    def stop_clock(self) -> None:
        """Stop the clock: a baseline is not part of the time that a mask takes."""
        self._stopped = time.monotonic()

    @property
    def latest_signal(self) -> float | None:
        """Signal-to-noise as it was last measured."""
        return self.signal[-1][1] if self.signal else None

    def recording(self, emit: EventSink) -> EventSink:
        """``emit``, with evaluations and warnings recorded on their way."""

        def record_and_emit(event: Event) -> None:
            if isinstance(event, EvaluationEvent):
                self._add_evaluation(event)
            elif isinstance(event, WarningEvent):
                self.warnings[event.code] = event.model_dump(include={"code", "message", "remedy"})
            emit(event)

        return record_and_emit

    def add(self, result: StepResult, total_weights: int) -> None:
        """Add the result of a step."""
        update = result.update
        remaining = sum(result.kept) / total_weights
        row = [result.step + 1, result.loss, update.grad_norm, update.regularizer, remaining, result.learning_rate]
        self._open.append(row)
        if len(self._open) == self.stride:
            self.points.append(_joined(self._open))
            self._open = []
        if len(self.points) >= POINTS:
            self.points = [_joined(self.points[i : i + 2]) for i in range(0, len(self.points), 2)]
            self.stride *= 2

    def add_signal(self, step: int, signal_to_noise: float) -> None:
        """Add the signal-to-noise as measured after ``step`` steps."""
        self.signal.append((step, signal_to_noise))

    def rows(self) -> list[list[float]]:
        """All points, the last of fewer steps where the run ended within it."""
        return [*self.points, *([_joined(self._open)] if self._open else [])]

    def packed(self) -> torch.Tensor:
        """Everything as bytes (uint8), for a checkpoint."""
        state = {
            "stride": self.stride,
            "points": self.points,
            "open": self._open,
            "evaluations": self.evaluations,
            "resumed": self.resumed,
            "seconds": self.seconds,
            "signal": self.signal,
            "warnings": self.warnings,
        }
        return torch.from_numpy(np.frombuffer(json.dumps(state).encode(), dtype=np.uint8).copy())

    def restore(self, packed: torch.Tensor, step: int) -> None:
        """Continue from the result of :meth:`packed` after ``step`` steps; the seconds of this attempt are added to its."""
        state = json.loads(packed.numpy().tobytes())  # one of an earlier version has no signal and no warnings
        self.stride, self.points, self._open = state["stride"], state["points"], state["open"]
        self.evaluations, self._earlier_seconds = state["evaluations"], state["seconds"]
        self.resumed = [*state["resumed"], step]
        self.warnings = state.get("warnings", {}) | self.warnings
        self.signal = [tuple(pair) for pair in state.get("signal", [])]

    def _add_evaluation(self, event: EvaluationEvent) -> None:
        row = event.model_dump(exclude={"event", "time"})
        kept = [old for old in self.evaluations if (old["stage"], old["step"]) != (event.stage, event.step)]
        if len(kept) >= EVALUATIONS:
            kept = [old for i, old in enumerate(kept) if i % 2 == 0 or old["stage"] != "during"]
        self.evaluations = [*kept, row]


def _joined(rows: list[list[float]]) -> list[float]:
    """Merge points: means, and the values of the last one."""
    joined = list(rows[-1])
    for column in _MEANS:
        joined[column] = sum(row[column] for row in rows) / len(rows)
    return joined
