"""Progress of a run: results of steps into the history and, once a second, into events with speed and time left.

A device that works asynchronously is not waited for: the result of a step is then read while the next one runs. Called by
:mod:`pruning.training.loop`.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pruning.errors import PermanentError
from pruning.events import EventSink, LogEvent, StepEvent
from pruning.training.history import History
from pruning.training.run import Run
from pruning.training.step import PendingNumber, PendingStep, StepResult

INTERVAL_SECONDS = 1.0
WINDOW = 60
"""Reports over which the speed is averaged: a minute, so that the time left does not jump."""


class _Launched(NamedTuple):
    """A step whose result was not read yet."""

    step: int
    rows: int
    result: PendingStep
    signal: PendingNumber | None
    """Where the signal-to-noise is measured after it."""


class Progress:
    """The steps of a run from ``first_step`` on."""

    def __init__(self, run: Run, first_step: int, history: History, emit: EventSink) -> None:
        self._run, self._history, self._emit = run, history, emit
        self._pending: deque[_Launched] = deque()
        self._rows = 0
        """Rows of all steps whose results were read."""
        self._marks: deque[tuple[float, int, int]] = deque([(time.monotonic(), first_step, 0)], maxlen=WINDOW)
        """Time, steps and rows at each report."""

    def record(self, t: int, pending: PendingStep) -> None:
        """Step t was launched. Raises PermanentError where this one, or the one before, turns out to have diverged."""
        signal = self._run.pruner.measure_signal(t + 1)
        self._pending.append(_Launched(t, self._run.row_count(t), pending, signal))
        self._read(self._run.pruner.max_pending)

    def settle(self) -> None:
        """Wait for all steps launched, and record their results. Raises PermanentError."""
        self._read(0)

    def _read(self, max_pending: int) -> None:
        while len(self._pending) > max_pending:
            launched = self._pending.popleft()
            with divergence_reported(launched.step):
                result = launched.result()
            if launched.signal is not None:
                self._history.add_signal(launched.step + 1, launched.signal())
            for message in self._run.pruner.take_warnings():
                self._emit(LogEvent(level="warning", message=message))
            self._history.add(result, self._run.matrices.total)
            self._rows += launched.rows
            if self._is_due(launched.step + 1):
                self._emit(self._event(result))

    def _is_due(self, done: int) -> bool:
        """Whether the state after ``done`` steps is reported: at most once a second, and after the last step."""
        return done == self._run.total_steps or time.monotonic() - self._marks[-1][0] >= INTERVAL_SECONDS

    def _event(self, result: StepResult) -> StepEvent:
        run, done = self._run, result.step + 1
        rows_per_second, eta_seconds = self._speed(done)
        return StepEvent(
            step=done,
            total_steps=run.total_steps,
            epoch=done * run.spec.gradient_accumulation / run.stream.per_epoch,
            loss=result.loss,
            regularizer=result.update.regularizer,
            remaining=sum(result.kept) / run.matrices.total,
            learning_rate=result.learning_rate,
            grad_norm=result.update.grad_norm,
            rows_per_second=rows_per_second,
            eta_seconds=eta_seconds,
            signal_to_noise=self._history.latest_signal,
        )

    def _speed(self, done: int) -> tuple[float, float]:
        """Rows per second and seconds left, measured since up to a minute ago; this report becomes a mark."""
        now = time.monotonic()
        since, first, rows = self._marks[0]
        elapsed = max(now - since, 1e-9)
        self._marks.append((now, done, self._rows))
        per_step = elapsed / max(done - first, 1)
        return (self._rows - rows) / elapsed, per_step * (self._run.total_steps - done)


@contextmanager
def divergence_reported(t: int) -> Iterator[None]:
    """Raises PermanentError (``diverged``) where step t meets a loss or gradient that is not finite."""
    try:
        yield
    except FloatingPointError as fault:
        raise PermanentError(
            f"training diverged at step {t}: {fault}; lower learning_rate or regularization", code="diverged", param="learning_rate"
        ) from fault
