"""Access log: one line for each finished request, with its route, status and duration, from logger ``api.access``.

Plain ASGI, added by ``api.app``: :class:`AccessLogMiddleware` as the outermost middleware, so that it sees what the others
answer, and :class:`RouteMiddleware` inside all that copy the scope, because the router fills in the one that it is given.
uvicorn's own access lines know neither request id nor owner, and show query strings.
"""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import unbind_contextvars

_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
"""Routes that machines ask every few seconds; those of their requests that succeed are logged at level DEBUG."""
_CLIENT_LEFT = 499
"""Status of a request whose client left before there was a response, as nginx has it."""
log = logging.getLogger("api.access")


class AccessLogMiddleware:
    """Logs requests once their response has been sent, or cannot be."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at, status = time.perf_counter(), _CLIENT_LEFT

        async def send_and_look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # a pipelined request is served in the context of the one before it
        unbind_contextvars("owner", "key_id", "job_id")
        try:
            await self.app(scope, receive, send_and_look)
        finally:
            _log(scope, status, time.perf_counter() - started_at)


def _log(scope: Scope, status: int, seconds: float) -> None:
    route = scope.get("state", {}).get("route")
    level = logging.WARNING if status >= 500 else logging.DEBUG if route in _PROBES and status < 400 else logging.INFO
    fields = {
        "method": scope["method"],
        "route": route,
        "path": scope["path"],
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
    }
    log.log(level, "%s %s %d in %.0f ms", scope["method"], scope["path"], status, seconds * 1000, extra=fields)


class RouteMiddleware:
    """Keeps the path template of the route that serves a request in ``state["route"]``; None where there is no such route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            if scope["type"] == "http":
                scope["state"]["route"] = getattr(scope.get("route"), "path", None)
