"""Request ids: every response has an ``X-Request-Id`` that the log shares, and every bug becomes a 500 problem with it.

Plain ASGI, the outermost middleware of ``api.app``: Starlette's own error middleware would send the traceback to the server's
log a second time and has no request id.
"""

import logging
import re
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.errors.problems import make_problem

log = logging.getLogger(__name__)
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIdMiddleware:
    """Adds ``X-Request-Id`` (a proxy's, or a new one) and the headers in ``request.state.headers`` to every response.

    An unexpected exception is logged once, under the id; such a request gets a 500 problem with the id alone, or the response
    of ``show_bug``.
    """

    def __init__(self, app: ASGIApp, show_bug: Callable[[Request, Response], Response] | None = None) -> None:
        self.app = app
        self._show_bug = show_bug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
        bind_contextvars(request_id=request_id)  # of every line that is logged about this request
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                headers.update(scope["state"].get("headers", {}))
                headers["X-Request-Id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:  # before its request was complete; there is no client to respond to
            log.info("request %s: the client left: %s %s", request_id, scope["method"], scope["path"])
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if started:  # too late for another response; the server cuts the connection, so the client sees that it is broken
                raise
            detail = "the service failed; its log has the reason under this request id"
            response: Response = make_problem("internal_error", detail, scope["path"], request_id=request_id)
            if self._show_bug is not None:
                response = self._show_bug(Request(scope), response)
            await response(scope, receive, send_with_id)
