"""Waiting in tests: for a condition with a deadline, never for a fixed time; and a clock that tests move."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE = 0.02


def wait_until(condition: Callable[[], T], *, seconds: float = 60, what: str | Callable[[], str] = "the condition") -> T:
    """The first true value of ``condition``. Raises AssertionError when it stays false for ``seconds``, naming ``what``, which
    may be a function to tell what there is to see by then."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s without success for {what if isinstance(what, str) else what()}")
        pause.wait(_PAUSE)
    return value


class FakeClock:
    """In the place of the module ``time`` of what is tested: the real clock, put forward by a test or by ``sleep``.

    ``monkeypatch.setattr("worker.run.lease.time", clock)``: limits can then be as long as no machine is slow.
    """

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """From now on it is so much later."""
        self._ahead += seconds

    sleep = advance
