"""Loopback guard: a service without API keys serves requests from its own machine only.

Added by ``api.app`` where no keys are required. Listening on loopback is not enough: a page in a browser on this machine can
send requests there from any origin and, under a name of its own that resolves to 127.0.0.1 (DNS rebinding), even read the
responses. And ``uvicorn --host 0.0.0.0`` does not read the service's settings. So three values must be loopback: the socket
that the request came in by, the name in ``Host``, and an ``Origin``, which must be the service's own.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors.problems import make_problem
from service.urls import is_loopback

_REMEDY = "set ESPALIER_REQUIRE_KEYS=true and create a key with: espalier keys create"


class LoopbackMiddleware:
    """Answers 403 to requests from other machines and from other sites' pages."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = _refusal_reason(scope) if scope["type"] == "http" else None
        if reason is None:
            await self.app(scope, receive, send)
            return
        detail = f"{reason}, and this service requires no keys; {_REMEDY}"
        response = make_problem("loopback_only", detail, scope["path"], request_id=scope["state"]["request_id"])
        await response(scope, receive, send)


def _refusal_reason(scope: Scope) -> str | None:
    """Reason why a request counts as remote; None for one from this machine."""
    headers = Headers(scope=scope)
    address, port = scope.get("server") or (None, None)
    if port is not None and not is_loopback(str(address)):  # a Unix socket has no port
        return f"the request arrived at {address}, which other machines can reach"
    host = headers.get("host", "")
    if not is_loopback(_host_name(host)):
        return f"the request is for {host or 'no host'}, which is not a name of this machine"
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        return f"the request was sent by a page of {origin}"
    return None


def _host_name(host: str) -> str:
    """``host`` without its port and brackets; empty if it is not valid."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
