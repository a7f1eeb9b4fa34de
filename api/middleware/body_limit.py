"""Limit on the size of request bodies, enforced before and while a body is read.

Plain ASGI, added by ``api.app``. Without it a route would hold a body of any size in memory.
"""

from collections.abc import Mapping

from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimitMiddleware:
    """Refuses bodies above ``max_bytes`` with 413: at once where the length is announced, else while they arrive.

    ``exceptions`` has the limits of the paths that take more.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, exceptions: Mapping[str, int]) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.exceptions = exceptions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        max_bytes = self.exceptions.get(get_route_path(scope), self.max_bytes)
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            if announced.isdecimal() and (len(announced) > 18 or int(announced) > max_bytes):
                raise _too_large(max_bytes)
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise _too_large(max_bytes)
            return message

        await self.app(scope, receive_limited, send)


def _too_large(max_bytes: int) -> HTTPException:
    # FastAPI lets an HTTPException raised while it reads a body through to the handlers unchanged
    return HTTPException(413, f"the request body is larger than {max_bytes} bytes")
