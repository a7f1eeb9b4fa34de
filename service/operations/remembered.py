"""Remembered value: read again once it is too old, by one thread while the others wait for it.

Used by ``service.operations.statistics`` for sums over whole tables.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """One value and its age. Any thread may use it."""

    def __init__(self, max_age_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_age_seconds, self._clock = max_age_seconds, clock
        self._known: tuple[float, T] | None = None
        """When it was read, and the value."""
        self._lock = threading.Lock()

    def get(self, read: Callable[[], T]) -> T:
        """The value, from ``read`` if there is none that is young enough. Raises what ``read`` raises, and asks again next time."""
        with self._lock:
            if self._known is None or self._clock() - self._known[0] > self._max_age_seconds:
                began = self._clock()
                self._known = (began, read())
            return self._known[1]
