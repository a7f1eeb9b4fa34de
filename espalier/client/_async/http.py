"""HTTP requests with retries: problem documents become exceptions, and requests that are safe to repeat are.

Called by ``client.py`` and the files of calls beside it. Each POST carries an idempotency key, so the service does once what it
is sent twice: a POST whose response was lost is repeated like any read.
"""

import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from espalier.client._async.waiting import sleep
from espalier.errors import ApiError, UnreachableError

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
UPLOAD_SECONDS = 600.0
"""The service checks every row before it responds."""
PAUSE_SECONDS = (0.25, 8.0)
"""First and longest pause before another try; each is twice as long as the one before, less up to half of it by chance."""
RETRIES = 3
LONGEST_RETRY_AFTER = 60.0
"""Seconds; a longer Retry-After is an error at once."""
BUSY = frozenset({429, 502, 503, 504})
"""Statuses of a service that is busy or restarting."""


class Http:
    """An httpx client bound to one service."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        retries: int = RETRIES,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._retries = retries
        headers = {"User-Agent": "espalier-python"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            headers=headers,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
        )

    async def request(self, method: str, path: str, **options: Any) -> Any:
        """The decoded JSON body; None where there is none. Raises ApiError, UnreachableError."""
        return _decoded(await self.send(method, path, **options))

    async def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """The response, whatever its status below 400. Sent again while that is safe. Raises ApiError, UnreachableError."""
        headers = dict(headers or {})
        if method == "POST":
            headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        return await self._send_with_retries(
            lambda: self._client.request(method, path, headers=headers, **options),
            repeatable=method in ("GET", "POST", "PUT"),
        )

    async def upload(self, path: str, files: Mapping[str, Path], fields: Mapping[str, str]) -> Any:
        """POST files as a form, read from disk as they are sent. Raises ApiError, UnreachableError, OSError."""
        key = {"Idempotency-Key": str(uuid.uuid4())}

        async def post() -> httpx.Response:
            with ExitStack() as stack:
                opened = {name: (file.name, stack.enter_context(file.open("rb"))) for name, file in files.items()}
                timeout = httpx.Timeout(UPLOAD_SECONDS, connect=CONNECT_SECONDS)
                return await self._client.post(path, files=opened, data=dict(fields), headers=key, timeout=timeout)

        return _decoded(await self._send_with_retries(post, repeatable=True))

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """A response whose body is read piece by piece. Raises ApiError, and UnreachableError at any piece."""
        with self._transport_errors():
            async with self._client.stream("GET", path, headers=dict(headers)) as response:
                await _check(response)
                yield response

    async def rows(self, path: str) -> AsyncIterator[Any]:
        """The rows of all pages of a list, one after the other. Raises ApiError, UnreachableError."""
        query: dict[str, str] = {}
        while True:
            page = await self.request("GET", path, params=query)
            for row in page["data"]:
                yield row
            if not page.get("has_more") or page.get("next_cursor") is None:
                return
            query["after"] = page["next_cursor"]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send_with_retries(
        self, send: Callable[[], Awaitable[httpx.Response]], *, repeatable: bool
    ) -> httpx.Response:
        """The first response that is final; the last refusal or failure when no try brings one."""
        pause, longest = PAUSE_SECONDS
        for left in range(self._retries if repeatable else 0, -1, -1):
            wait = pause * random.uniform(0.5, 1)  # noqa: S311 - so that clients who failed together do not return together
            try:
                with self._transport_errors():
                    response = await send()
            except UnreachableError:
                if left == 0:
                    raise
            else:
                retry_after = _retry_after(response)
                if left == 0 or not _is_temporary(response) or (retry_after or 0) > LONGEST_RETRY_AFTER:
                    await _check(response)
                    return response
                wait = wait if retry_after is None else retry_after
            await sleep(wait)
            pause = min(2 * pause, longest)
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def _transport_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(f"no answer from {self.base_url}: {reason}") from error


async def _check(response: httpx.Response) -> None:
    """Raises ApiError for a response that is an error."""
    if response.status_code < 400:
        return
    await response.aread()
    raise ApiError.from_response(response.status_code, _body(response))


def _decoded(response: httpx.Response) -> Any:
    return response.json() if response.content else None


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:  # a proxy's HTML, or nothing
        return None


def _is_temporary(response: httpx.Response) -> bool:
    """Whether the same request may succeed later."""
    if response.status_code in BUSY:
        return True
    body = _body(response) if response.status_code == 409 else None
    return isinstance(body, dict) and body.get("code") == "idempotency_in_progress"


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the service asks the client to wait, if it does: as a number, or as a date by its own clock."""
    header = response.headers.get("Retry-After", "").strip()
    if header.isdecimal():
        return float(header)
    try:
        return max(
            0.0, (parsedate_to_datetime(header) - parsedate_to_datetime(response.headers["Date"])).total_seconds()
        )
    except (KeyError, TypeError, ValueError):
        return None
