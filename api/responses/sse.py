"""Server-sent events of one job: its history, then live events, until the job has ended. Called by ``api.routes.events``.

An event's ``id`` is its number in the job, so a client that reconnects with ``Last-Event-ID`` misses nothing and sees nothing
twice. Events carry no SSE name, since one called ``error`` would look like a broken connection to a browser; the type is in the
data. In addition there are ``progress`` (no ``id``: only the latest matters) and, last, ``end``.

FastAPI's ``EventSourceResponse`` is not used, because it breaks two guarantees. It makes a whole path operation a stream, while
``GET …/events`` answers with a page of JSON or with a stream, by ``Accept``, as one operation of the OpenAPI document. And its
framing is fixed: ``: ping`` as keep-alive, names before ids, non-ASCII text escaped; the bytes that clients receive would change.
"""

import json
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.errors.exceptions import UnavailableError
from api.schemas.events import Event
from api.schemas.jobs import Progress
from service.access import api_keys
from service.concurrency import ConcurrencyLimiter
from service.db.engine import DATABASE_UNAVAILABLE, Database
from service.errors import InvalidKeyError, JobNotFoundError
from service.jobs import queries
from service.states import TERMINAL

POLL_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 15.0
"""Seconds without an event after which a comment is sent; proxies close an idle connection after 30 to 60 seconds."""
KEY_POLLS = 10
"""Polls after which a stream or a long wait checks its API key again: 5 s."""
_RETRY_MILLISECONDS = 2000
_PAGE = 500
_LINE_END = re.compile(r"\r\n|\r|\n")
"""What ends a line of a message, by the standard."""
log = logging.getLogger(__name__)


class EventStream(StreamingResponse):
    """The stream, holding one of ``slots`` for as long as it lasts. Raises UnavailableError when ``owner`` can have none."""

    def __init__(
        self,
        database: Database,
        job_id: str,
        *,
        after: int,
        slots: ConcurrencyLimiter,
        owner: str,
        key_id: str | None = None,
        format_event: Callable[[Event], str] | None = None,
    ) -> None:
        """``key_id``: of the API key that the stream ends with; None where there are none. ``format_event`` gives the data of an
        event's message."""
        if not slots.acquire(owner):
            raise UnavailableError("too_many_streams", "too many event streams are open; close some, poll, or try again later")
        self._slots = slots
        self._owner = owner
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(
            _stream(database, job_id, after, key_id, format_event or _as_event), headers=headers, media_type="text/event-stream"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # here and not in the generator, which never starts if the client has disconnected
            self._slots.release(self._owner)


@dataclass(frozen=True)
class _Snapshot:
    """Snapshot of a job: its state, and its events since the last snapshot."""

    events: list[Event]
    progress: dict[str, Any]
    status: str
    ended: bool
    """The job has ended and ``events`` are its last."""


async def _stream(
    database: Database, job_id: str, seq: int, key_id: str | None, format_event: Callable[[Event], str]
) -> AsyncIterator[str]:
    yield f"retry: {_RETRY_MILLISECONDS}\n\n"
    progress: dict[str, Any] = {}
    last_sent = time.monotonic()
    for number in count():
        checked_key = key_id if number % KEY_POLLS == 0 else None
        try:
            snapshot = await run_in_threadpool(_read_snapshot, database, job_id, seq, checked_key)
        except InvalidKeyError:  # revoked or expired since; a client that reconnects gets 401
            return
        except JobNotFoundError:
            yield _format_message(_as_json({"status": "deleted"}), name="end")
            return
        except DATABASE_UNAVAILABLE as error:  # the client reconnects, with the number of its last event
            log.warning("event stream of %s ended early: %s", job_id, error)
            return
        for event in snapshot.events:
            yield _format_message(format_event(event), number=event.seq)
            seq = event.seq
        if snapshot.progress != progress:
            progress = snapshot.progress
            yield _format_message(_as_json(progress), name="progress")
        elif not snapshot.events and time.monotonic() - last_sent < KEEP_ALIVE_SECONDS:
            await anyio.sleep(POLL_SECONDS)
            continue
        elif not snapshot.events:
            yield ": keep-alive\n\n"
        last_sent = time.monotonic()
        if snapshot.ended:
            yield _format_message(_as_json({"status": snapshot.status}), name="end")
            return


def _read_snapshot(database: Database, job_id: str, seq: int, key_id: str | None) -> _Snapshot:
    with database.read() as session:
        if key_id is not None:
            api_keys.require_usable(session, key_id)
        # the job before its events: in the other order, on PostgreSQL, a job that ends in between would be read as ended
        # while its last event is still missing
        job = queries.get(session, job_id)
        progress = Progress(step=job.step, total_steps=job.total_steps, eta_seconds=job.eta_seconds)
        rows, more = queries.event_page(session, job_id, after=seq, limit=_PAGE)
        return _Snapshot(
            events=[Event.from_row(row) for row in rows],
            progress={"status": job.status, "phase": job.phase, **progress.model_dump(), "metrics": job.metrics},
            status=job.status,
            ended=job.status in TERMINAL and not more,
        )


def _as_event(event: Event) -> str:
    return _as_json(event.model_dump(mode="json"))


def _as_json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False)


def _format_message(text: str, *, name: str | None = None, number: int | None = None) -> str:
    """One message with ``text`` as its data, a line each; JSON keeps the data on one line."""
    head = (f"id: {number}\n" if number is not None else "") + (f"event: {name}\n" if name else "")
    data = "".join(f"data: {line}\n" for line in _LINE_END.split(text))
    return f"{head}{data}\n"
