"""Time limits of the client's requests, and the message about a slow one.

Given to ``Client`` and ``AsyncClient`` as ``timeouts``; used by their ``http.py``.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

SLOW_SECONDS = 3.0
"""Seconds without a response after which the message is shown."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds. No request of the client waits for a job, so a working service responds much faster."""

    connect: float = 5.0
    """For a connection to be accepted; one to this machine has :attr:`connect_loopback`."""
    connect_loopback: float = 1.0
    """This machine accepts a connection at once or not at all."""
    read: float = 60.0
    """For the response to begin, and for each further piece of it."""
    upload: float = 600.0
    """For the response to an uploaded data set, of which the service checks every row first."""

    def for_requests(self, *, loopback: bool) -> httpx.Timeout:
        """Time limits for httpx; ``loopback``: to a service on this machine."""
        return httpx.Timeout(self.read, connect=min(self.connect, self.connect_loopback) if loopback else self.connect)

    def for_uploads(self, *, loopback: bool) -> httpx.Timeout:
        """Time limits for httpx of a request that uploads a data set."""
        return httpx.Timeout(self.upload, connect=self.for_requests(loopback=loopback).connect)


def reason_of(error: httpx.RequestError) -> str:
    """Description of a timeout."""
    limits = error.request.extensions.get("timeout", {})
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {limits.get('connect', 0):g} s"
    if isinstance(error, httpx.ReadTimeout):
        return f"it accepts connections, but nothing came within {limits.get('read', 0):g} s"
    return str(error) or type(error).__name__


@contextmanager
def notice_when_slow(notify: Callable[[str], None] | None, place: str, seconds: float) -> Iterator[None]:
    """Call ``notify``, in a thread of its own, with a line on ``place`` when the block takes longer than :data:`SLOW_SECONDS`.

    ``seconds``: how long it may take in all.
    """
    if notify is None:
        yield
        return
    timer = threading.Timer(SLOW_SECONDS, notify, [f"waiting for {place} … (at most {seconds:g} s)"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
