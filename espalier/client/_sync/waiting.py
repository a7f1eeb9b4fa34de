"""Sleeping and file access of the synchronous client.

With ``_async/waiting.py`` the only part of the client that is written twice.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Wait so many seconds."""
    time.sleep(seconds)


def in_thread(work: Callable[[], T]) -> T:
    """What ``work`` returns; there is no event loop to block, so it runs in this thread."""
    return work()
