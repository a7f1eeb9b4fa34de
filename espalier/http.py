"""One HTTP exchange with the service: errors become nouns, reads survive a dropped connection.

Called by ``client.py`` and ``download.py``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from espalier.errors import ApiError, Unreachable

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0


class Http:
    """An httpx client bound to one service."""

    def __init__(self, base_url: str, api_key: str | None = None, transport: httpx.BaseTransport | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        headers = {"User-Agent": "espalier-python"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._client = httpx.Client(
            base_url=self.base_url,
            headers=headers,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            transport=transport or httpx.HTTPTransport(retries=2),  # of connections only: a POST is never sent twice
        )

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The decoded JSON answer; None where there is no body. Raises ApiError, Unreachable."""
        with self._translated():
            answer = self._client.request(method, path, **options)
        check(answer)
        return answer.json() if answer.content else None

    @contextmanager
    def stream(self, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """An answer whose body is read piece by piece. Raises Unreachable, at any piece too."""
        with self._translated(), self._client.stream("GET", path, headers=headers) as answer:
            yield answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"no answer from {self.base_url}: {reason}") from error


def check(answer: httpx.Response) -> None:
    """Raises ApiError for an answer that is not a success."""
    if answer.is_success:
        return
    answer.read()
    try:
        body = answer.json()
    except ValueError:  # a proxy's HTML, or nothing
        body = None
    raise ApiError.from_answer(answer.status_code, body)
