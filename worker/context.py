"""What the threads of one worker process share: settings, database, name, and whether it is about to leave.

Made by ``app.py`` when the worker starts and handed down; nothing else here is global.
"""

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from jobs.db import Database
from jobs.settings import Settings

_ID_CHARACTERS = 100


def _new_id() -> str:
    """Readable, and never used twice even if the operating system gives the process number out again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"[-_ID_CHARACTERS:]


@dataclass
class Context:
    """One worker process."""

    settings: Settings
    database: Database
    worker_id: str = field(default_factory=_new_id)
    stopping: threading.Event = field(default_factory=threading.Event)
    """Set once: claim nothing more, stop the trainers, hand their jobs back."""
    _busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Count a job as running inside the block."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    @property
    def free_slots(self) -> int:
        """How many jobs this worker could take on now."""
        return max(0, self.settings.worker_slots - self._busy)
