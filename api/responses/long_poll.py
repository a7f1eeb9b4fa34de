"""Long polling of a job (RFC 7240): a job as a response with its entity tag, delayed until the job ends or changes.

``Prefer: wait=10`` delays the response until the job has ended or, with ``If-None-Match``, until it has changed. The wait is a
coroutine that polls the database, as the event streams do: meanwhile it holds neither a connection nor a thread. Called by
``api.routes.jobs`` and ``api.routes.exports``.
"""

import re
import time
from collections.abc import Callable
from typing import Annotated, Any

import anyio
from fastapi import Header, Response
from fastapi.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api.errors.exceptions import UnauthorizedError
from api.request.auth import Caller
from api.request.conditional import etag_matches
from api.request.deps import Services
from api.responses.sse import KEY_POLLS
from api.schemas.job_representation import JobRepresentation
from service.access import api_keys
from service.db.engine import Database
from service.errors import InvalidKeyError, JobNotFoundError
from service.states import TERMINAL

POLL_SECONDS = 0.5
_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE | re.ASCII)
Prefer = Annotated[
    str | None, Header(description="`wait=10`: answer once the job has ended (with If-None-Match: changed), or after 10 seconds")
]
IfNoneMatch = Annotated[str | None, Header(description="An ETag: 304 while the job has not changed since")]
ETAG_HEADERS: dict[str, Any] = {
    "ETag": {"description": "Identifies this state of the job", "schema": {"type": "string"}},
    "Preference-Applied": {"description": "`wait=N`, where Prefer was honoured", "schema": {"type": "string"}},
}
"""For the ``headers`` of a response in OpenAPI."""


def parse_prefer_wait(prefer: str | None, longest: float) -> float:
    """Seconds that the header asks to wait, ``longest`` at most; 0 where it does not or is malformed."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), longest) if found else 0.0


class LongPollResponse(Response):
    """The job as it is when the response is sent.

    ``none_match`` is what the client has (304 while that is current), ``seconds`` how long it will wait: for the job's end or,
    given ``none_match``, for any change. Where no slot to wait is free the response is immediate, as RFC 7240 allows.
    A job that ends during the wait turns a 202 into a 200.
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
        caller: Caller,
    ) -> None:
        self._services = services
        self._none_match = none_match
        self._seconds = seconds
        self._caller = caller
        self._status = status
        self._extra_headers = {"Cache-Control": "private, no-cache", "Vary": "Prefer"}
        if location is not None:
            self._extra_headers["Location"] = location
        self._set_job(job)

    def _set_job(self, job: JobRepresentation) -> None:
        self._job = job
        self._unchanged = etag_matches(self._none_match, job.etag, weak=True)
        headers = {"ETag": job.etag, **self._extra_headers}
        status = 200 if self._status == 202 and self._has_waited and job.status in TERMINAL else self._status
        super().__init__(None if self._unchanged else job.body, 304 if self._unchanged else status, headers)

    @property
    def _has_waited(self) -> bool:
        return "Preference-Applied" in self._extra_headers

    @property
    def _must_wait(self) -> bool:
        """Whether the awaited change has not happened yet and is still possible."""
        return self._job.status not in TERMINAL and (self._none_match is None or self._unchanged)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._seconds > 0 and self._services.wait_slots.acquire(self._caller.owner):
            self._extra_headers["Preference-Applied"] = f"wait={self._seconds:g}"
            try:
                await _until_disconnect(receive, self._wait)
            finally:
                self._services.wait_slots.release(self._caller.owner)
            self._set_job(self._job)
        await super().__call__(scope, receive, send)

    async def _wait(self) -> None:
        until = time.monotonic() + self._seconds
        polls = 0
        while self._must_wait and (left := until - time.monotonic()) > 0:
            await anyio.sleep(min(POLL_SECONDS, left))
            polls += 1
            if self._caller.key_id is not None and polls % KEY_POLLS == 0:
                await run_in_threadpool(_require_key, self._services.database, self._caller.key_id)
            self._set_job(await load_job(self._services, self._job.id))


def _require_key(database: Database, key_id: str) -> None:
    """Raises UnauthorizedError for a key that was revoked or has expired during the wait."""
    try:
        with database.read() as session:
            api_keys.require_usable(session, key_id)
    except InvalidKeyError as error:
        raise UnauthorizedError(error.code, str(error)) from error


async def _until_disconnect(receive: Receive, wait: Callable[[], Any]) -> None:
    """Run ``wait``, and cancel it when the client has disconnected."""
    try:
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            await wait()
            tasks.cancel_scope.cancel()
    except ExceptionGroup as group:  # a single exception: the job was deleted, or the database is unavailable
        raise group.exceptions[0] from group


async def load_job(services: Services, job_id: str, *, owner: str | None = None) -> JobRepresentation:
    """The job as it is now, if it belongs to ``owner`` (None: any owner). Raises JobNotFoundError."""
    job = await services.job_loader.load(job_id)
    if job is None or owner not in (None, job.owner):
        raise JobNotFoundError(job_id)
    return job
