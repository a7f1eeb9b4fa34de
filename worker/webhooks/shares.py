"""Shares of owners and receivers in what one worker sends: messages in flight, and messages per minute to one host.

Used by ``worker.webhooks.dispatcher``. A receiver that does not answer uses the share of its owner and of its host alone.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_WINDOW_SECONDS = 60.0


@dataclass
class Shares:
    """Messages in flight and recently sent. Any thread may use it."""

    total: int
    per_owner: int
    per_host: int
    per_minute: int
    """Messages in flight of one owner to one host."""
    clock: Callable[[], float] = time.monotonic
    _owners: Counter[str] = field(default_factory=Counter)
    _hosts: Counter[str] = field(default_factory=Counter)
    _sent: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def free(self) -> int:
        """How many more messages could be in flight."""
        return self.total - self._owners.total()

    def acquire(self, owner: str, url: str) -> bool:
        """Count a message as in flight, which :meth:`release` ends; False where a share is used up."""
        host = _host(url)
        with self._lock:
            sent = self._sent_lately(owner, host)
            free = (
                self._owners.total() < self.total
                and self._owners[owner] < self.per_owner
                and self._hosts[host] < self.per_host
                and len(sent) < self.per_minute
            )
            if free:
                self._owners[owner] += 1
                self._hosts[host] += 1
                sent.append(self.clock())
            return free

    def release(self, owner: str, url: str) -> None:
        """A message is no longer in flight."""
        with self._lock:
            self._owners[owner] -= 1
            self._hosts[_host(url)] -= 1
            self._owners, self._hosts = +self._owners, +self._hosts

    def _sent_lately(self, owner: str, host: str) -> deque[float]:
        begin = self.clock() - _WINDOW_SECONDS
        self._sent = {key: times for key, times in self._sent.items() if times and times[-1] > begin}
        sent = self._sent.setdefault((owner, host), deque())
        while sent and sent[0] <= begin:
            sent.popleft()
        return sent


def _host(url: str) -> str:
    """Host and port; the URL is one that was checked when the webhook was made."""
    return urlsplit(url).netloc.lower()
