"""What the threads of one worker process share: settings, database, name, slots, devices, and whether it is about to leave.

Made by ``app.py`` when the worker starts and handed down; nothing else here is global.
"""

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from service.db.engine import Database
from service.settings import Settings
from worker.devices import Devices, find_gpus

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
    devices: Devices = field(init=False)
    """Only for the holder of ``devices_lock``."""
    devices_lock: threading.Lock = field(default_factory=threading.Lock)
    """Held from the look at what is free until it is taken, so that two jobs never get the same."""
    _busy: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        gpus = find_gpus(os.environ)
        shares = self.settings.worker_devices or max(len(gpus), self.settings.worker_slots)
        self.devices = Devices(gpus, shares)

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Hold a slot inside the block; whether there was a free one."""
        with self._lock:
            got = self._busy < self.settings.worker_slots
            self._busy += got
        try:
            yield got
        finally:
            with self._lock:
                self._busy -= got

    @property
    def free_slots(self) -> int:
        """How many jobs this worker could take on now."""
        return max(0, self.settings.worker_slots - self._busy)
