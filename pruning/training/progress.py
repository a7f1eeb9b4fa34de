"""Steps as they are taken, and what is told of them: the history, an event a second, and where a run diverged.

A device that works by itself is not waited for: what is told of a step is then told while the next one runs. Called by
:mod:`pruning.training.loop`.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pruning.errors import PermanentError
from pruning.events import EventSink, LogEvent, StepEvent
from pruning.training.history import History
from pruning.training.pace import Pace
from pruning.training.pruner import StepResult
from pruning.training.run import Run


class Progress:
    """The steps of a run from ``first_step`` on."""

    def __init__(self, run: Run, first_step: int, history: History, emit: EventSink) -> None:
        self._run, self._history, self._emit = run, history, emit
        self._pace = Pace(first_step, run.total_steps)
        self._open: deque[tuple[int, int, Callable[[], StepResult]]] = deque()

    def step(self, t: int) -> None:
        """Take step t. Raises PermanentError where this one, or the one before, turns out to have diverged."""
        run = self._run
        batches = [run.batch(t, part) for part in range(run.spec.gradient_accumulation)]
        run.process_group.begin_step(run.spec.seed, t)
        with _diverging(t):
            self._open.append((t, run.rows(t), run.pruner.launch(t, batches)))
        self._tell(run.pruner.max_pending)

    def settle(self) -> None:
        """Wait for all steps taken, and tell of them. Raises PermanentError."""
        self._tell(0)

    def _tell(self, lag: int) -> None:
        while len(self._open) > lag:
            t, rows, result_of = self._open.popleft()
            with _diverging(t):
                result = result_of()
            for message in self._run.pruner.take_warnings():
                self._emit(LogEvent(level="warning", message=message))
            self._history.add(result, self._run.matrices.total)
            self._pace.count(rows)
            if self._pace.due(t + 1):
                self._emit(self._event(result))

    def _event(self, result: StepResult) -> StepEvent:
        run, done = self._run, result.step + 1
        rows_per_second, eta_seconds = self._pace.mark(done)
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
        )


@contextmanager
def _diverging(t: int) -> Iterator[None]:
    try:
        yield
    except FloatingPointError as fault:
        raise PermanentError(
            f"training diverged at step {t}: {fault}; lower learning_rate or regularization",
            code="diverged", param="learning_rate",
        ) from fault  # fmt: skip
