"""Assertion for error responses: a problem (RFC 9457) with the status and code that the test expects."""

from collections.abc import Mapping
from typing import Any, Protocol


class Response(Protocol):
    """What tests read of a response; httpx's, and its successor's, which the test client takes where it is installed."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def is_success(self) -> bool: ...
    @property
    def text(self) -> str: ...
    @property
    def content(self) -> bytes: ...
    def json(self) -> Any: ...


def assert_problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    """The body of an error response, after the checks that hold for all of them."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["kind"] == ("system" if status >= 500 or status == 429 else "user")
    assert body["title"]
    assert body["detail"]
    return body
