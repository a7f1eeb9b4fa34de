"""Room for so many at a time, and for so many of one owner, so that no owner takes all of it. Used for event streams."""

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Places:
    """Any thread may use it."""

    total: int
    share: int
    """Of one owner."""
    _taken: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, owner: str) -> bool:
        """A place for ``owner``, to be given back by ``leave``; False if there is none."""
        with self._lock:
            free = self._taken.total() < self.total and self._taken[owner] < self.share
            self._taken[owner] += free
            return free

    def leave(self, owner: str) -> None:
        """Give a place back."""
        with self._lock:
            self._taken[owner] -= 1
            if not self._taken[owner]:
                del self._taken[owner]
