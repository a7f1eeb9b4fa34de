"""Exceptions of the client. All are EspalierError, so one ``except`` suffices.

EspalierError
├── ApiError              the service responded with a problem (RFC 9457)
├── UnreachableError      no response
├── NotEspalierError      another program responded
├── ConfigurationError    URL, API key or proxy variables with which no request can be sent
├── RowError              a row to predict on lacks a text
├── DownloadCorruptError  the bytes received differ from the service's digest
└── JobNotSucceededError  the awaited job failed or was cancelled
"""

from collections.abc import Mapping
from typing import Any


class EspalierError(Exception):
    """A request, a download or a job failed."""


class ApiError(EspalierError):
    """The service refused a request or could not answer it."""

    def __init__(
        self, status: int, *, code: str, detail: str, param: str | None = None, problem: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail if param is None else f"{param}: {detail}")
        self.status = status
        """HTTP status."""
        self.code = code
        """Stable identifier, e.g. ``unknown_task``."""
        self.detail = detail
        self.param = param
        """The field to change, where one is at fault."""
        self.problem = dict(problem or {})
        """The problem document, e.g. with ``errors`` when several fields are wrong."""

    @classmethod
    def from_response(cls, status: int, body: Any) -> "ApiError":
        """The error of a decoded body; a body that is not a problem document still gives a readable error."""
        if not isinstance(body, Mapping):
            return cls(status, code=f"http_{status}", detail=f"the service answered {status} without a reason")
        faults = [fault for fault in body.get("errors") or () if isinstance(fault, Mapping)]
        fields = [_field(fault) for fault in faults]
        text = body.get("detail") or body.get("title") or f"the service answered {status}"
        if faults and all(fields):  # else the detail is complete, for example with the row of an uploaded file
            first, *rest = (str(fault.get("detail") or text) for fault in faults)
            text = "; ".join([first, *(f"{field}: {detail}" for field, detail in zip(fields[1:], rest, strict=True))])
        return cls(
            status,
            code=str(body.get("code") or f"http_{status}"),
            detail=str(text),
            param=body.get("param") or (fields[0] if fields else None),
            problem=body,
        )


def _field(fault: Mapping[str, Any]) -> str | None:
    """``task.labels`` of the pointer ``/task/labels``, or the name of a parameter."""
    pointer = str(fault.get("pointer") or "").removeprefix("/").replace("/", ".")
    return pointer.replace("~1", "/").replace("~0", "~") or (None if "row" in fault else fault.get("parameter"))


class UnreachableError(EspalierError):
    """The service did not answer."""


class NotEspalierError(EspalierError):
    """The response is not this service's: a redirect, a sign-in page, another program's JSON."""


class ConfigurationError(EspalierError, ValueError):
    """No request was sent: the URL, the API key or a proxy variable cannot be used. The message holds no secret."""

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.param = param
        """``url``, ``api_key`` or ``environment``."""


class RowError(EspalierError, ValueError):
    """A row to predict on cannot be used; nothing was sent for it."""

    def __init__(self, message: str, row: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.row = row
        """Its number, from 1."""
        self.column = column
        """The column at fault."""


class DownloadCorruptError(EspalierError):
    """A download has another digest or length than announced; the partial file was removed."""


class JobNotSucceededError(EspalierError):
    """The job ended as failed or cancelled."""
