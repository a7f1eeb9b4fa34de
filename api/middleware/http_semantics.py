"""HTTP semantics (RFC 9110) for all routes: HEAD, slashes at the end of a path, and Location under a path prefix.

Plain ASGI, added by ``api.app``. A path with a slash at its end is the same resource, served at once: a redirect would use the
scheme that the proxy forwards, and behind TLS lead to ``http://``.
"""

import re

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _HeadDoneError(OSError):
    """Ends a response whose body is not sent, as a lost connection would."""


class HttpSemanticsMiddleware:
    """Serves HEAD as the GET without its body, and paths with a slash at their end; puts the prefix before Location."""

    def __init__(self, app: ASGIApp, own_head: re.Pattern[str], root_path: str = "") -> None:
        """``own_head``: paths whose routes serve HEAD themselves, more cheaply than a GET.

        ``root_path``: path prefix of a proxy, removed by it or not; else that of the server.
        """
        self.app = app
        self.root_path = root_path
        self.own_head = own_head

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        root = self.root_path or scope.get("root_path", "")
        scope = {**scope, "root_path": root, "path": _without_end_slash(scope["path"], root)}

        async def send_with_prefix(message: Message) -> None:
            if message["type"] == "http.response.start" and root:
                _prefix_location(MutableHeaders(scope=message), root)
            await send(message)

        if scope["method"] == "HEAD" and not self.own_head.fullmatch(scope["path"].removeprefix(root)):
            await _respond_to_head(self.app, scope, receive, send_with_prefix)
        else:
            await self.app(scope, receive, send_with_prefix)


async def _respond_to_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The response to GET without its body; a stream, which may be endless, is ended before its first piece."""
    ended = False

    async def send_head(message: Message) -> None:
        nonlocal ended
        if message["type"] != "http.response.body":
            await send(message)
            return
        if not ended:
            ended = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        if message.get("more_body"):
            raise _HeadDoneError

    try:
        await app({**scope, "method": "GET"}, receive, send_head)
    except (_HeadDoneError, ClientDisconnect):
        if not ended:
            raise
    except ExceptionGroup as group:
        if not ended or group.split((_HeadDoneError, ClientDisconnect))[1] is not None:
            raise


def _prefix_location(headers: MutableHeaders, root: str) -> None:
    location = headers.get("location", "")
    if location.startswith("/") and not location.startswith(("//", f"{root}/")):
        headers["Location"] = root + location


def _without_end_slash(path: str, root: str) -> str:
    base = path.rstrip("/")
    return base if base and base != root else path
