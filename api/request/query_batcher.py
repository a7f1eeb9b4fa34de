"""Query batching: concurrent reads of single rows become one database query (the DataLoader pattern). Made by ``api.app``.

Under load the round trip to the database costs more than the query. So one thread takes all keys that have come and loads them
with one query, equal keys once; keys that come meanwhile wait for the next query. There is no cache: a value is always read
after its request.
"""

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")
_MAX_BATCH = 200
"""Keys of one query: few enough that no caller waits long for the others."""


class _Pending(NamedTuple):
    """A key that a coroutine waits for."""

    key: Any
    loop: asyncio.AbstractEventLoop
    value: asyncio.Future[Any]


class QueryBatcher(Generic[K, V]):
    """Loads values by ``fetch``, which is called in a thread of the batcher's own with distinct keys and must return all.

    All callers wait for ``fetch``, so it must end within seconds: ``Database.read_connection`` does, in every state of
    the database. What ``fetch`` raises is raised to every caller of that batch. Any event loop may call :meth:`load`.
    """

    def __init__(self, name: str, fetch: Callable[[Collection[K]], Mapping[K, V]]) -> None:
        self._queue: SimpleQueue[_Pending | None] = SimpleQueue()
        # the thread refers to the queue and not to the batcher, so that it ends when the batcher is garbage
        threading.Thread(target=_load_batches, args=(self._queue, fetch), name=f"batcher-{name}", daemon=True).start()
        self.close = weakref.finalize(self, self._queue.put, None)
        """End the thread, after it has loaded the pending keys."""

    async def load(self, key: K) -> V:
        """The value of ``key``. Raises what ``fetch`` raises, e.g. sqlalchemy.exc.OperationalError."""
        loop = asyncio.get_running_loop()
        value: asyncio.Future[V] = loop.create_future()
        self._queue.put(_Pending(key, loop, value))
        return await value


def _load_batches(queue: SimpleQueue[_Pending | None], fetch: Callable[[Collection[Any]], Mapping[Any, Any]]) -> None:
    closed = False
    while not closed and (first := queue.get()) is not None:
        batch = [first]
        with contextlib.suppress(Empty):
            while not closed and len(batch) < _MAX_BATCH:
                following = queue.get_nowait()
                if following is None:
                    closed = True
                else:
                    batch.append(following)
        values: Mapping[Any, Any] = {}
        failure: Exception | None = None
        try:
            values = fetch({pending.key for pending in batch})
        except Exception as error:  # noqa: BLE001 - raised again to every caller; the next batch may succeed
            failure = error
        for loop in {pending.loop for pending in batch}:
            callers = [pending for pending in batch if pending.loop is loop]
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it all waiting coroutines
                loop.call_soon_threadsafe(_resolve, callers, values, failure)


def _resolve(batch: Sequence[_Pending], values: Mapping[Any, Any], failure: Exception | None) -> None:
    for pending in batch:
        if pending.value.done():  # its request was cancelled
            continue
        if failure is not None:
            pending.value.set_exception(failure)
        else:
            pending.value.set_result(values[pending.key])
