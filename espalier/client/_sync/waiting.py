"""How the synchronous client waits.

With ``espalier/client/_async/waiting.py`` the only part of the client that is written twice.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def sleep(seconds: float) -> None:
    """Wait for so long."""
    time.sleep(seconds)


def in_thread(work: Callable[[], T]) -> T:
    """What ``work`` returns; nobody else is held up, so it is done here."""
    return work()
