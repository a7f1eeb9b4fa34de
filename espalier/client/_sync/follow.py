# made by `python -m scripts.unasync` from espalier/client/_async/follow.py; change that file, not this one
"""Live events of a job as server-sent events, over a connection that may break. Called by ``Client.events``.

The ``id`` of a message is the event's number in its job. A client that returns with that number as ``Last-Event-ID`` misses
no event and gets none twice.
"""

import time
from collections.abc import Iterator

import httpx

from espalier.client._sync.http import BUSY, Http
from espalier.client._sync.waiting import sleep
from espalier.client.models import Event
from espalier.errors import ApiError, UnreachableError

PAUSE_SECONDS = (0.25, 4.0)
"""First and longest pause before a broken stream is resumed; each is twice as long as the one before."""


def follow(http: Http, path: str, after: int, patience: float) -> Iterator[Event]:
    """Events numbered above ``after`` until the job's end. Raises ApiError, and UnreachableError after ``patience`` seconds."""
    received_at = time.monotonic()
    pause, longest = PAUSE_SECONDS
    while True:
        cut: UnreachableError | ApiError = UnreachableError(f"the stream of {path} ends before the job has")
        try:
            for name, data in _messages(http, path, after):
                received_at, pause = time.monotonic(), PAUSE_SECONDS[0]
                if name == "end":
                    return
                if name == "":
                    event = Event.model_validate_json(data)
                    after = event.seq
                    yield event
        except (UnreachableError, ApiError) as error:
            if isinstance(error, ApiError) and error.status not in BUSY:
                raise
            cut = error
        if time.monotonic() - received_at > patience:
            raise cut
        sleep(pause)
        pause = min(2 * pause, longest)


def _messages(http: Http, path: str, after: int) -> Iterator[tuple[str, bytes]]:
    """Name and data of each message that one connection brings; the name of an event is empty."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    name, data = "", b""
    with http.stream(path, headers) as response:
        for line in _lines(response):
            field, _, value = line.partition(b":")
            value = value.strip()
            if field == b"event":
                name = value.decode()
            elif field == b"data":  # the service has one of these in a message
                data = value
            elif not line:
                if data:
                    yield name, data
                name, data = "", b""


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """Complete lines; httpx's line iterator also splits at U+2028 and other characters that a message may hold."""
    rest = b""
    for piece in response.iter_bytes():
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
