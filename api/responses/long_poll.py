"""A job as an answer: with its entity tag, and after a wait if its client would rather wait than ask again.

``Prefer: wait=10`` (RFC 7240) keeps the answer back until the job has ended, or, with ``If-None-Match``, until it has
changed. The wait is a coroutine that looks at the database now and then, like the event streams: meanwhile it holds neither
a connection nor a thread. Called by ``api.routes.jobs``.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, Any

import anyio
from fastapi import Header, Response
from starlette.types import Receive, Scope, Send

from api.request.conditional import etag_matches
from api.request.deps import Services
from api.schemas.job_view import JobRepresentation
from service.errors import JobNotFoundError
from service.states import TERMINAL

POLL_SECONDS = 0.5
_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE | re.ASCII)
Prefer = Annotated[
    str | None,
    Header(description="`wait=10`: answer once the job has ended (with If-None-Match: changed), or after 10 seconds"),
]
IfNoneMatch = Annotated[str | None, Header(description="An ETag: 304 while the job is still as it was then")]
ETAG_HEADERS: dict[str, Any] = {
    "ETag": {"description": "Names this very state of the job", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "`wait=N`, where Prefer was honoured", "schema": {"type": "string"}},
}
"""For the ``headers`` of a response in OpenAPI."""


def parse_prefer_wait(prefer: str | None, longest: float) -> float:
    """How long a request wants to wait, ``longest`` at most; 0 where it does not say so in a way that can be read."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), longest) if found else 0.0


class LongPollResponse(Response):
    """The job as it is when the answer is sent.

    ``none_match`` is what the client has (304 while that is true), ``seconds`` how long it will wait: for the job's end, or,
    given ``none_match``, for any change. Where no place to wait is free the answer is immediate, as RFC 7240 allows.
    A job that ends while it is waited for turns a 202 into a 200.
    """

    media_type = "application/json"

    def __init__(
        self,
        services: Services,
        job: JobRepresentation,
        *,
        status: int = 200,
        location: str | None = None,
        none_match: str | None = None,
        seconds: float = 0,
    ) -> None:
        self._services = services
        self._none_match = none_match
        self._seconds = seconds
        self._status = status
        self._told = {"Cache-Control": "private, no-cache", "Vary": "Prefer"}
        if location is not None:
            self._told["Location"] = location
        self._fill(job)

    def _fill(self, job: JobRepresentation) -> None:
        self._job = job
        self._same = etag_matches(self._none_match, job.etag, weak=True)
        headers = {"ETag": job.etag, **self._told}
        status = 200 if self._status == 202 and self._waited and job.status in TERMINAL else self._status
        super().__init__(None if self._same else job.body, 304 if self._same else status, headers)

    @property
    def _waited(self) -> bool:
        return "Preference-Applied" in self._told

    @property
    def _awaited(self) -> bool:
        """Whether what the client waits for has not happened yet and still may."""
        return self._job.status not in TERMINAL and (self._none_match is None or self._same)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._seconds > 0 and self._services.wait_slots.acquire(blocking=False):
            self._told["Preference-Applied"] = f"wait={self._seconds:g}"
            try:
                await _until_disconnect(receive, self._wait)
            finally:
                self._services.wait_slots.release()
            self._fill(self._job)
        await super().__call__(scope, receive, send)

    async def _wait(self) -> None:
        until = time.monotonic() + self._seconds
        while self._awaited and (left := until - time.monotonic()) > 0:
            await anyio.sleep(min(POLL_SECONDS, left))
            self._fill(await load_job(self._services, self._job.id))


async def _until_disconnect(receive: Receive, wait: Callable[[], Any]) -> None:
    """Until ``wait`` is over or the client has left."""
    try:
        async with anyio.create_task_group() as tasks:

            async def notice() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(notice)
            await wait()
            tasks.cancel_scope.cancel()
    except ExceptionGroup as group:  # of one: the job was deleted, or the database is away
        raise group.exceptions[0] from group


async def load_job(services: Services, job_id: str, *, owner: str | None = None) -> JobRepresentation:
    """The job as it is now; ``owner`` is who asks, None may see all. Raises JobNotFoundError."""
    shown = await services.job_loader.load(job_id)
    if shown is None or owner not in (None, shown.owner):
        raise JobNotFoundError(job_id)
    return shown
