"""File lock of a folder on this host: downloads to it and removals from it exclude each other.

A job that downloads is a row that runs, so a removal that comes later keeps what that job reads. Called by ``worker.files.inputs``
and ``worker.files.model_cache``.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def host_lock(root: Path) -> Iterator[None]:
    """Hold the lock of the folder ``root``, which exists."""
    with open(
        os.open(root / ".lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "w"
    ) as lock:  # closed to trainers
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
