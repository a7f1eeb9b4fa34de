"""Name lookup with a deadline: getaddrinfo has none, and a name server that a user names may be slow on purpose.

Called by ``service.webhooks.ssrf`` in threads of the API and of the dispatcher, which must not wait for it. A lookup that is given
up goes on in a thread of its own, of which there are few.
"""

import socket
import threading
from typing import Any

_SECONDS = 5.0
_LOOKUPS = threading.BoundedSemaphore(32)


def look_up(host: str, port: int) -> list[Any]:
    """As ``socket.getaddrinfo`` for TCP. Raises OSError, UnicodeError; TimeoutError, an OSError, when it takes too long."""
    seconds = _SECONDS
    if not _LOOKUPS.acquire(timeout=seconds):
        raise TimeoutError("too many names are being looked up")
    results: list[Any] = []
    thread = threading.Thread(target=_run, args=(host, port, results), name="name lookup", daemon=True)
    thread.start()
    thread.join(seconds)
    if not results:
        raise TimeoutError(f"its name server took more than {seconds:g} s")
    (result,) = results
    if isinstance(result, Exception):
        raise result
    found: list[Any] = result
    return found


def _run(host: str, port: int, results: list[Any]) -> None:
    try:
        results.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        results.append(error)
    finally:
        _LOOKUPS.release()
