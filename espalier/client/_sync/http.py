# made by `python -m scripts.unasync` from espalier/client/_async/http.py; change that file, not this one
"""HTTP requests with retries: problem documents become exceptions, and requests that are safe to repeat are.

Called by ``client.py`` and the modules of calls. Each POST carries an idempotency key, so the service handles a repeated POST
once: a POST whose response was lost is repeated like any read.
"""

import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from espalier.client._sync.waiting import sleep
from espalier.client.connection import (
    CountedFile,
    checked_key,
    checked_url,
    is_loopback,
    proxy_of,
    public_url,
    with_environment,
    without_password,
)
from espalier.client.timeouts import Timeouts, notice_when_slow, reason_of
from espalier.errors import ApiError, ConfigurationError, NotEspalierError, UnreachableError

PAUSE_SECONDS = (0.25, 8.0)
"""First and longest pause before another try; each is twice as long as the one before, less a random part of up to a half."""
RETRIES = 3
RETRIES_AFTER_SILENCE = 1
"""Tries of a request that is accepted and not answered within the time limit; another connection may reach a working process."""
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
        transport: httpx.BaseTransport | None = None,
        retries: int = RETRIES,
        notify: Callable[[str], None] | None = None,
        timeouts: Timeouts | None = None,
        notify_when_slow: Callable[[str], None] | None = None,
    ) -> None:
        """Raises ConfigurationError for a URL, key or proxy variable that cannot be used."""
        self.base_url = checked_url(base_url)
        self.public_url = public_url(self.base_url)
        api_key = checked_key(api_key)
        self._retries = retries
        self._notify = notify
        headers = {"User-Agent": "espalier-python"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._notify_when_slow = notify_when_slow
        timeouts, loopback = timeouts or Timeouts(), is_loopback(self.base_url)
        self._timeout, self._upload_timeout = (timeouts.for_requests(loopback=loopback), timeouts.for_uploads(loopback=loopback))
        if transport is None and loopback:
            transport = httpx.HTTPTransport()  # with an explicit transport, httpx uses no proxy
        self._proxy = None if transport is not None else proxy_of(self.base_url)
        self._client = with_environment(
            lambda: httpx.Client(
                base_url=self.base_url, headers=headers, timeout=self._timeout, transport=transport, follow_redirects=False
            )
        )

    def request(self, method: str, path: str, **options: Any) -> Any:
        """The decoded JSON object; None where there is no body. Raises ApiError, UnreachableError, NotEspalierError."""
        return _decoded(self.send(method, path, **options))

    def send(self, method: str, path: str, headers: Mapping[str, str] | None = None, **options: Any) -> httpx.Response:
        """The response, with any status below 300. Sent again while that is safe. Raises as ``request``."""
        headers = dict(headers or {})
        if method == "POST":
            headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        return self._send_with_retries(
            lambda: self._client.request(method, path, headers=headers, **options), repeatable=method in ("GET", "POST", "PUT")
        )

    def upload(
        self, path: str, files: Mapping[str, Path], fields: Mapping[str, str], report: Callable[[int, int], None] | None
    ) -> Any:
        """POST files as a form, read from disk as they are sent; ``report`` is called with the bytes sent, and those of all files.

        Raises ApiError, UnreachableError, OSError.
        """
        key = {"Idempotency-Key": str(uuid.uuid4())}

        def post() -> httpx.Response:
            total, sent = sum(file.stat().st_size for file in files.values()), 0

            def count(size: int) -> None:
                nonlocal sent
                sent += size
                if report is not None:
                    report(sent, total)

            with ExitStack() as stack:
                opened = {name: (file.name, stack.enter_context(CountedFile(file, count))) for name, file in files.items()}
                return self._client.post(path, files=opened, data=dict(fields), headers=key, timeout=self._upload_timeout)

        return _decoded(self._send_with_retries(post, repeatable=True, timeout=self._upload_timeout))

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """A response whose body is read piece by piece. Raises ApiError, and UnreachableError at any piece."""
        with self._transport_errors():
            request = self._client.build_request("GET", path, headers=dict(headers))
            with self._notice_when_slow(self._timeout):
                response = self._client.send(request, stream=True)
            try:
                _check(response)
                yield response
            finally:
                response.close()

    def rows(self, path: str) -> Iterator[Any]:
        """The rows of all pages of a list, one after the other. Raises ApiError, UnreachableError."""
        query: dict[str, str] = {}
        while True:
            page = self.page(path, query)
            yield from page["data"]
            if not page.get("has_more") or page.get("next_cursor") is None:
                return
            query["after"] = page["next_cursor"]

    def page(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """One page of a list, whose rows are in ``data``. Raises as ``request``."""
        page = self.request("GET", path, params=query)
        if not isinstance(page.get("data"), list):
            raise NotEspalierError(
                f"{without_password(self.base_url)} does not answer as Espalier: there is no data in the list {path}"
            )
        return dict(page)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send_with_retries(
        self, send: Callable[[], httpx.Response], *, repeatable: bool, timeout: httpx.Timeout | None = None
    ) -> httpx.Response:
        """The first response that is final; the last refusal or failure when all tries fail."""
        pause, longest = PAUSE_SECONDS
        silences = 0
        for left in range(self._retries if repeatable else 0, -1, -1):
            wait = pause * random.uniform(0.5, 1)  # noqa: S311 - so that clients who failed together do not return together
            try:
                with self._transport_errors(), self._notice_when_slow(timeout or self._timeout):
                    response = send()
            except UnreachableError as error:
                silences += isinstance(error.__cause__, httpx.ReadTimeout)
                if left == 0 or silences > RETRIES_AFTER_SILENCE:
                    raise
                if self._notify is not None and left == self._retries:
                    self._notify(f"{error}; trying again up to {left} times")
            else:
                retry_after = _retry_after(response)
                if left == 0 or not _is_temporary(response) or (retry_after or 0) > LONGEST_RETRY_AFTER:
                    _check(response)
                    return response
                wait = wait if retry_after is None else retry_after
            sleep(wait)
            pause = min(2 * pause, longest)
        raise AssertionError("the last try returns or raises")

    def _notice_when_slow(self, timeout: httpx.Timeout) -> AbstractContextManager[None]:
        return notice_when_slow(self._notify_when_slow, self._place, timeout.read or 0)

    @property
    def _place(self) -> str:
        """The service, and the proxy before it, for messages."""
        return without_password(self.base_url) + (f" through {self._proxy}" if self._proxy else "")

    @contextmanager
    def _transport_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"this cannot be part of a URL: {error}", param="url") from error
        except httpx.RequestError as error:
            raise UnreachableError(f"no answer from {self._place}: {reason_of(error)}") from error


def _check(response: httpx.Response) -> None:
    """Raises ApiError for an error response, NotEspalierError for a redirect: this service sends none.

    No redirect is followed: the API key would go to another host, and a POST would become a GET.
    """
    if response.status_code < 300:
        return
    response.read()
    place = without_password(str(response.request.url))
    if response.status_code < 400:
        to = _redirected_to(response)
        remedy = f"redirects to {to}; if that is the service, give its URL" if to else "redirects without a Location"
        raise NotEspalierError(f"{place} {remedy} (status {response.status_code}; nothing was sent there)")
    raise ApiError.from_response(response.status_code, _body(response))


def _redirected_to(response: httpx.Response) -> str | None:
    location = response.headers.get("Location")
    if location is None:
        return None
    try:
        return without_password(str(response.request.url.join(location)))
    except (httpx.InvalidURL, ValueError):
        return repr(without_password(location))


def _decoded(response: httpx.Response) -> Any:
    """The JSON object of a response; None where it has no body on purpose."""
    if response.status_code == 204 and response.request.method in ("DELETE", "PUT"):
        return None
    body = _body(response)
    if not isinstance(body, dict):
        kind = response.headers.get("Content-Type") or "no type"
        what = "an empty body" if not response.content else f"a body of {kind} that is not a JSON object"
        raise NotEspalierError(
            f"{without_password(str(response.request.url))} answers {response.status_code} with {what}: it is not an Espalier "
            "service, or a proxy or sign-in page answered in its place"
        )
    return body


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
    """Retry-After in seconds, if there is one: as a number, or as a date by its own clock."""
    header = response.headers.get("Retry-After", "").strip()
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - parsedate_to_datetime(response.headers["Date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None
