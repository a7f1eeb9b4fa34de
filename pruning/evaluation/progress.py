"""Progress of a long computation over rows, reported about once a minute."""

import time
from collections.abc import Callable

from pruning.events import EventSink, PhaseEvent

_SECONDS = 60.0
"""Between two reports; a supervisor takes a program without output for hung."""


def minutely(emit: EventSink) -> Callable[[int, int], None]:
    """A function of the inputs computed, and all, that emits them about once a minute."""
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS:
            last = time.monotonic()
            emit(PhaseEvent(phase="evaluating", message=f"{done:,} of {total:,} inputs"))

    return report
