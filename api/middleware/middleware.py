"""What every request passes before a route sees it: an id that the log shares, and a limit on the body's size.

Plain ASGI, added by ``api.app``: Starlette's own error middleware would send the traceback on to the server's log a
second time and knows no request id.
"""

import logging
import re
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problems import make_problem

log = logging.getLogger(__name__)
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestIdMiddleware:
    """Answers carry ``X-Request-Id`` (a proxy's, or a new one) and what was put into ``request.state.headers``.

    An unforeseen exception is logged under the id once; such a request gets a 500 problem that says nothing but the id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _GIVEN_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = request_id
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
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], scope["path"])
            if started:  # too late for another answer; the server cuts the connection, so nobody takes it for complete
                raise
            answer = make_problem(
                500, "internal_error", "the service failed; its log has the reason under this request id", scope["path"],
                request_id=request_id,
            )  # fmt: skip
            await answer(scope, receive, send_with_id)


class BodyLimitMiddleware:
    """Refuses bodies above ``max_bytes`` with 413: at once where the length is announced, else while they arrive.

    ``larger`` has the limits of the paths that take more.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int]) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        max_bytes = self.larger.get(scope["path"], self.max_bytes)
        counted = 0

        async def receive_limited() -> Message:
            nonlocal counted
            if announced.isdecimal() and (len(announced) > 18 or int(announced) > max_bytes):
                raise _too_large(max_bytes)
            message = await receive()
            counted += len(message.get("body", b""))
            if counted > max_bytes:
                raise _too_large(max_bytes)
            return message

        await self.app(scope, receive_limited, send)


def _too_large(max_bytes: int) -> HTTPException:
    # FastAPI lets an HTTPException raised while it reads a body through to the handlers unchanged
    return HTTPException(413, f"the request body is larger than {max_bytes} bytes")
