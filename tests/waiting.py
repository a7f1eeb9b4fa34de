"""Waiting in tests: for a condition with a deadline, never for a fixed time."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE = 0.02


def wait_until(
    condition: Callable[[], T], *, seconds: float = 60, what: str | Callable[[], str] = "the condition"
) -> T:
    """The first true value of ``condition``. Raises AssertionError when it stays false for ``seconds``, naming ``what``, which
    may be a function to tell what there is to see by then."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what if isinstance(what, str) else what()}")
        pause.wait(_PAUSE)
    return value
