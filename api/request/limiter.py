"""Room for so many at a time, and for so many of one owner, so that no owner takes all of it. Used for event streams."""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ConcurrencyLimiter:
    """Any thread may use it."""

    total: int
    per_owner: int
    """Of one owner."""
    _held: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def acquire(self, owner: str) -> bool:
        """A place for ``owner``, to be given back by ``leave``; False if there is none."""
        with self._lock:
            free = self._held.total() < self.total and self._held[owner] < self.per_owner
            self._held[owner] += free
            return free

    def release(self, owner: str) -> None:
        """Give a place back."""
        with self._lock:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
