"""How the asynchronous client waits.

With ``espalier/client/_sync/waiting.py`` the only part of the client that is written twice.
"""

from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


async def sleep(seconds: float) -> None:
    """Let others go on for so long."""
    await anyio.sleep(seconds)


async def in_thread(work: Callable[[], T]) -> T:
    """What ``work`` returns; it reads or writes files and would hold up everything else here."""
    return await anyio.to_thread.run_sync(work)
