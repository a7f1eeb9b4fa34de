"""Slots with a share per owner, for what one process does at the same time: streams, waits, predictions, figures.

Counted in memory by each process for itself: N processes let N times as many through.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ConcurrencyLimiter:
    """Slots for what runs at the same time, ``total`` in all and ``per_owner`` for one owner. Any thread may use it."""

    total: int
    per_owner: int
    _held: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def acquire(self, owner: str) -> bool:
        """Take a slot for ``owner``, which :meth:`release` gives back; False if there is none."""
        with self._lock:
            free = self._held.total() < self.total and self._held[owner] < self.per_owner
            self._held[owner] += free
            return free

    def release(self, owner: str) -> None:
        """Give a slot of ``owner`` back."""
        with self._lock:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
