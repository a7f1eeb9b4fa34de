"""Waiting in tests: for a condition with a deadline, never for a time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE = 0.02


def until(condition: Callable[[], T], *, seconds: float = 60, what: str = "the condition") -> T:
    """The first true value of ``condition``. Raises AssertionError, naming ``what``, when it stays false for ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        pause.wait(_PAUSE)
    return value
