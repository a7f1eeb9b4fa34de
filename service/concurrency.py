"""Concurrency limits per owner within one process, for streams, waits, predictions, figures and name lookups.


Counted in memory by each process for itself: N processes allow N times as many.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ConcurrencyLimiter:
    """Slots for concurrent work, ``total`` in all and ``per_owner`` for one owner. Any thread may use it."""

    total: int
    per_owner: int
    _held: Counter[str] = field(default_factory=Counter)
    _freed: threading.Condition = field(default_factory=threading.Condition)

    def acquire(self, owner: str, seconds: float = 0) -> bool:
        """Take a slot for ``owner``, which :meth:`release` gives back; False if there is none within ``seconds``."""
        with self._freed:
            free = self._freed.wait_for(lambda: self._is_free(owner), seconds)
            self._held[owner] += free
            return free

    def release(self, owner: str) -> None:
        """Give a slot of ``owner`` back."""
        with self._freed:
            self._held[owner] -= 1
            self._held = +self._held
            self._freed.notify_all()

    @property
    def held(self) -> int:
        """Slots that are taken."""
        return self._held.total()

    def _is_free(self, owner: str) -> bool:
        return self._held.total() < self.total and self._held[owner] < self.per_owner
