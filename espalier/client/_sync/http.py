# made by `python -m scripts.unasync` from espalier/client/_async/http.py; change that file, not this one
"""One HTTP exchange with the service: errors become nouns, and what can be sent again is, until the service has answered.

Called by ``client.py`` and the files of calls beside it. A POST carries an idempotency key of its own, so the service does
once what it is sent twice: an answer that was lost on the way is asked for again like any read.
"""

import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from espalier.client._sync.waiting import sleep
from espalier.errors import ApiError, UnreachableError

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
UPLOAD_SECONDS = 600.0
"""The service looks at every row before it answers."""
PAUSE_SECONDS = (0.25, 8.0)
"""First and longest pause before another try; each is twice as long as the one before, less up to half of it by chance."""
RETRIES = 3
LONGEST_RETRY_AFTER = 60.0
"""Seconds; who is told to stay away for longer gets the error."""
BUSY = frozenset({429, 502, 503, 504})
"""Answers that say come back later."""


class Http:
    """An httpx client bound to one service."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        transport: httpx.BaseTransport | None = None,
        retries: int = RETRIES,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._retries = retries
        headers = {"User-Agent": "espalier-python"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._client = httpx.Client(
            base_url=self.base_url,
            headers=headers,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
        )

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The decoded JSON answer; None where there is no body. Raises ApiError, UnreachableError."""
        return _decoded(self.exchange(method, path, **options))

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """The answer, whatever its status below 400. Sent again while that is safe. Raises ApiError, UnreachableError."""
        headers = dict(headers or {})
        if method == "POST":
            headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        return self._tried(
            lambda: self._client.request(method, path, headers=headers, **options),
            repeatable=method in ("GET", "POST", "PUT"),
        )

    def upload(self, path: str, files: Mapping[str, Path], fields: Mapping[str, str]) -> Any:
        """POST files as a form, read from disk as they are sent. Raises ApiError, UnreachableError, OSError."""
        key = {"Idempotency-Key": str(uuid.uuid4())}

        def send() -> httpx.Response:
            with ExitStack() as stack:
                opened = {name: (file.name, stack.enter_context(file.open("rb"))) for name, file in files.items()}
                timeout = httpx.Timeout(UPLOAD_SECONDS, connect=CONNECT_SECONDS)
                return self._client.post(path, files=opened, data=dict(fields), headers=key, timeout=timeout)

        return _decoded(self._tried(send, repeatable=True))

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """An answer whose body is read piece by piece. Raises ApiError, and UnreachableError at any piece."""
        with self._translated(), self._client.stream("GET", path, headers=dict(headers)) as answer:
            _check(answer)
            yield answer

    def rows(self, path: str) -> Iterator[Any]:
        """What the pages of a list hold, one after the other. Raises ApiError, UnreachableError."""
        asked: dict[str, str] = {}
        while True:
            page = self.ask("GET", path, params=asked)
            yield from page["data"]
            if not page.get("has_more") or page.get("next_cursor") is None:
                return
            asked["after"] = page["next_cursor"]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _tried(self, send: Callable[[], httpx.Response], *, repeatable: bool) -> httpx.Response:
        """The first answer that is one; the last refusal or failure when there is none."""
        pause, longest = PAUSE_SECONDS
        for left in range(self._retries if repeatable else 0, -1, -1):
            wait = pause * random.uniform(0.5, 1)  # noqa: S311 - so that clients who failed together do not return together
            try:
                with self._translated():
                    answer = send()
            except UnreachableError:
                if left == 0:
                    raise
            else:
                asked = _retry_after(answer)
                if left == 0 or not _passing(answer) or (asked or 0) > LONGEST_RETRY_AFTER:
                    _check(answer)
                    return answer
                wait = wait if asked is None else asked
            sleep(wait)
            pause = min(2 * pause, longest)
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(f"no answer from {self.base_url}: {reason}") from error


def _check(answer: httpx.Response) -> None:
    """Raises ApiError for an answer that is an error."""
    if answer.status_code < 400:
        return
    answer.read()
    raise ApiError.from_answer(answer.status_code, _body(answer))


def _decoded(answer: httpx.Response) -> Any:
    return answer.json() if answer.content else None


def _body(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:  # a proxy's HTML, or nothing
        return None


def _passing(answer: httpx.Response) -> bool:
    """Whether the same request may fare better later."""
    if answer.status_code in BUSY:
        return True
    body = _body(answer) if answer.status_code == 409 else None
    return isinstance(body, dict) and body.get("code") == "idempotency_in_progress"


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds until the service wants to be asked again, if it says so: as a number, or as a date by its own clock."""
    told = answer.headers.get("Retry-After", "").strip()
    if told.isdecimal():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - parsedate_to_datetime(answer.headers["Date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None
