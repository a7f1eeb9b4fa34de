"""Readiness of the service, asked once for all who want to know: one cached answer per process, fetched by one thread.

Called by ``api.routes.health``. Probes need no key. Each would hold one of the shared threads for as long as a silent broker
lets it wait, and some hundred of them would stop every request of the service.
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
    """The result of ``ask``, or the exception that it raised; asked again when it is older than ``MAX_AGE_SECONDS``."""

    ask: Callable[[], T]
    _task: "asyncio.Task[T] | None" = None
    _answered_at: float = field(default=0.0)

    async def get(self) -> T:
        """The answer; those who come while it is fetched wait for the same one. Raises what ``ask`` raises."""
        task = self._task
        is_stale = task is not None and task.done() and time.monotonic() - self._answered_at >= MAX_AGE_SECONDS
        if task is None or is_stale or task.get_loop() is not asyncio.get_running_loop():
            task = self._task = asyncio.create_task(self._fetch())
            task.add_done_callback(_retrieve)
        return await asyncio.shield(task)  # a client that leaves does not end it for the others

    async def _fetch(self) -> T:
        try:
            return await anyio.to_thread.run_sync(self.ask, limiter=CapacityLimiter(1))  # no thread of the shared ones
        finally:
            self._answered_at = time.monotonic()


def _retrieve(task: "asyncio.Task[T]") -> None:
    """Take note of an exception, so that asyncio does not report it when everybody who waited has left."""
    if not task.cancelled():
        task.exception()
