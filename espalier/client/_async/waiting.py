"""Sleeping and file access of the asynchronous client.

With ``_sync/waiting.py`` the only part of the client that is written twice.
"""

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Wait so many seconds while other tasks run."""
    await anyio.sleep(seconds)


async def in_thread(work: Callable[[], T]) -> T:
    """What ``work`` returns; it reads or writes files, which would block the event loop."""
    return await anyio.to_thread.run_sync(work)
