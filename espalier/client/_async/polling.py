"""Polling of a job or a sweep until it has ended, across restarts of the service. Called by the calls for both."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from espalier.client._async.http import BUSY
from espalier.client._async.waiting import sleep
from espalier.client.models import Job, Sweep
from espalier.errors import ApiError, UnreachableError

_Resource = TypeVar("_Resource", Job, Sweep)


async def poll(
    get: Callable[[], Awaitable[_Resource]], unfinished: str, *, pauses: tuple[float, float], timeout: float | None, patience: float
) -> AsyncIterator[_Resource]:
    """The resource each time it has changed, until and including its end.

    ``pauses`` are the first and the longest between two requests; each is 1.5 times as long as the one before, and a change
    resets it. An unreachable service is waited for up to ``patience`` seconds. Raises TimeoutError, which begins with
    ``unfinished``, after ``timeout`` seconds; ApiError, UnreachableError.
    """
    started = answered = time.monotonic()
    seen: _Resource | None = None
    pause, longest = pauses
    while seen is None or not seen.ended:
        now: _Resource | None = None
        try:
            now = await get()
            answered = time.monotonic()
        except (UnreachableError, ApiError) as error:
            temporary = isinstance(error, UnreachableError) or error.status in BUSY
            if not temporary or time.monotonic() - answered > patience:
                raise
        if now is not None and now != seen:
            seen, pause = now, pauses[0]
            yield now
            continue
        if timeout is not None and time.monotonic() - started > timeout:
            raise TimeoutError(f"{unfinished} after {timeout:g} seconds")
        await sleep(pause)
        pause = min(pause * 1.5, longest)
