"""One interface to the synchronous and the asynchronous client, so that one test covers both."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from anyio.from_thread import BlockingPortal, start_blocking_portal

from espalier import AsyncClient, Client

Kind = Literal["sync", "async"]


class BlockingAsyncClient:
    """An ``AsyncClient`` whose calls block, on an event loop in another thread."""

    def __init__(self, client: AsyncClient, portal: BlockingPortal) -> None:
        self._client, self._portal = client, portal

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def waiting(*arguments: Any, **options: Any) -> Any:
            if inspect.isasyncgenfunction(call):
                return self._drained(call(*arguments, **options))
            return self._portal.call(lambda: call(*arguments, **options))

        return waiting

    def _drained(self, found: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._portal.call(found.__anext__)
            except StopAsyncIteration:
                return


@contextmanager
def sync_or_async_client(kind: Kind, url: str, **options: Any) -> Iterator[Any]:
    """A client of the given kind."""
    with ExitStack() as stack:
        if kind == "sync":
            yield stack.enter_context(Client(url, **options))
            return
        portal = stack.enter_context(start_blocking_portal())
        yield BlockingAsyncClient(stack.enter_context(portal.wrap_async_context_manager(AsyncClient(url, **options))), portal)
