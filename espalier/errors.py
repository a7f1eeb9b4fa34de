"""What can go wrong between a client and the service. All are EspalierError, so one ``except`` suffices.

EspalierError
├── ApiError          the service answered with a problem (RFC 9457)
├── Unreachable       no answer
├── DownloadCorrupt   what arrived is not what the service has
└── JobNotSucceeded   the job that was waited for ended otherwise
"""

from collections.abc import Mapping
from typing import Any


class EspalierError(Exception):
    """Something between this client and the service went wrong."""


class ApiError(EspalierError):
    """The service refused or could not do what was asked."""

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
        """The field to change, where one is to blame."""
        self.problem = dict(problem or {})
        """The whole answer, e.g. with ``errors`` when several fields are wrong."""

    @classmethod
    def from_answer(cls, status: int, body: Any) -> "ApiError":
        """From a decoded body; anything that is no problem document still becomes a readable error."""
        if not isinstance(body, Mapping):
            return cls(status, code=f"http_{status}", detail=f"the service answered {status} without saying why")
        faults = body.get("errors")
        first = faults[0] if isinstance(faults, list) and faults and isinstance(faults[0], Mapping) else {}
        detail = first.get("message") or first.get("detail") or body.get("detail") or body.get("title")
        return cls(
            status,
            code=str(body.get("code") or f"http_{status}"),
            detail=str(detail or f"the service answered {status}"),
            param=body.get("param") or first.get("param"),
            problem=body,
        )


class Unreachable(EspalierError):
    """The service did not answer."""


class DownloadCorrupt(EspalierError):
    """A download ended with another digest or length than announced; the partial file was removed."""


class JobNotSucceeded(EspalierError):
    """The job ended as failed or cancelled."""
