"""Name lookup with a deadline: getaddrinfo has none, and a user's name server may be slow on purpose.

Called by ``service.webhooks.ssrf`` in threads of the API and of the dispatcher, which must not wait for it. A lookup past its
deadline continues in a thread of its own; these are few, and each owner has a share of them.
"""

import socket
import threading
from typing import Any

from service.concurrency import ConcurrencyLimiter
from service.errors import TooManyLookupsError

_SECONDS = 5.0
_LOOKUPS = ConcurrencyLimiter(32, 4)
"""Running lookups, past their deadline or not: an owner with slow names uses up its share alone."""
_CALLERS = ConcurrencyLimiter(64, 16)
"""Threads that wait for a lookup or for a slot; the API has 40 for all its requests."""


def look_up(host: str, port: int, owner: str) -> list[Any]:
    """``socket.getaddrinfo`` for TCP with a deadline, in the share of ``owner``.

    Raises OSError, UnicodeError; TimeoutError, an OSError, when it takes too long; TooManyLookupsError when the share is used up.
    """
    if not _CALLERS.acquire(owner):
        raise TooManyLookupsError
    try:
        return _wait_for_lookup(host, port, owner, _SECONDS)
    finally:
        _CALLERS.release(owner)


def _wait_for_lookup(host: str, port: int, owner: str, seconds: float) -> list[Any]:
    if not _LOOKUPS.acquire(owner, seconds):
        raise TooManyLookupsError
    results: list[Any] = []
    thread = threading.Thread(target=_run, args=(host, port, owner, results), name="name lookup", daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        raise TimeoutError(f"its name server took more than {seconds:g} s")
    (result,) = results
    if isinstance(result, Exception):
        raise result
    found: list[Any] = result
    return found


def _run(host: str, port: int, owner: str, results: list[Any]) -> None:
    try:
        results.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        results.append(error)
    finally:
        _LOOKUPS.release(owner)
