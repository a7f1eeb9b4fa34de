"""Readiness cache: one result per process, shared by all probes and fetched by one thread.

Called by ``api.routes.health``. Probes need no key. Each would hold one of the shared threads for as long as an unresponsive broker
blocks it, and some hundred of them would stop every request of the service.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter

MAX_AGE_SECONDS = 1.0
T = TypeVar("T")


@dataclass
class SharedAnswer(Generic[T]):
    """The result of ``ask``, or its exception; fetched again when older than ``MAX_AGE_SECONDS``."""

    ask: Callable[[], T]
    _task: "asyncio.Task[T] | None" = None
    _answered_at: float = field(default=0.0)

    async def get(self) -> T:
        """The result; concurrent callers wait for the same fetch. Raises the exceptions of ``ask``."""
        task = self._task
        is_stale = task is not None and task.done() and time.monotonic() - self._answered_at >= MAX_AGE_SECONDS
        if task is None or is_stale or task.get_loop() is not asyncio.get_running_loop():
            task = self._task = asyncio.create_task(self._fetch())
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)  # a disconnected client does not cancel it for the others

    async def _fetch(self) -> T:
        try:
            return await anyio.to_thread.run_sync(self.ask, limiter=CapacityLimiter(1))  # not one of the shared threads
        finally:
            self._answered_at = time.monotonic()


def _retrieve(task: "asyncio.Task[T]") -> None:
    """Retrieve the exception, so that asyncio does not report it when all waiting clients have disconnected."""
    if not task.cancelled():
        task.exception()
