"""How fast a run goes, when it will end, and when to say so again."""

import time
from collections import deque

INTERVAL_SECONDS = 1.0
WINDOW = 60
"""Reports over which the speed is averaged: a minute, so that the end in sight does not jump."""


class Pace:
    """Counts steps and rows; ``due`` at most once a second."""

    def __init__(self, first_step: int, total_steps: int) -> None:
        self._total = total_steps
        self._marks: deque[tuple[float, int, int]] = deque([(time.monotonic(), first_step, 0)], maxlen=WINDOW)
        self._rows = 0

    def count(self, rows: int) -> None:
        """Note rows trained on."""
        self._rows += rows

    def due(self, step: int) -> bool:
        """Whether the state after ``step`` steps should be reported: the last step always is."""
        return step == self._total or time.monotonic() - self._marks[-1][0] >= INTERVAL_SECONDS

    def mark(self, step: int) -> tuple[float, float]:
        """Report now: rows per second and seconds left, measured since up to a minute ago."""
        now = time.monotonic()
        since, first, rows = self._marks[0]
        elapsed = max(now - since, 1e-9)
        self._marks.append((now, step, self._rows))
        per_step = elapsed / max(step - first, 1)
        return (self._rows - rows) / elapsed, per_step * (self._total - step)
