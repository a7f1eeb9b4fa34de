"""Short questions to the database, asked by many requests at once and answered together. Made by ``api.app``.

Under load the way to the database costs more than the answer. So one thread takes all questions that have come and
answers them with one look, equal ones once; what is asked meanwhile waits for the next look. Nothing is kept: an answer is
always read after its question was asked.
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
_BATCH_SIZE = 200
"""Questions of one look: few enough that nobody waits long for the others."""


class _PendingQuery(NamedTuple):
    question: Any
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]


class QueryBatcher(Generic[K, V]):
    """Answers by ``look``, which is called in the desk's own thread with different questions and must answer each.

    Everybody waits for it, so it must end within seconds: ``Database.read_connection`` does, whatever becomes of the database. What
    ``look`` raises is raised to everybody who waits for that look. Any event loop may ask.
    """

    def __init__(self, name: str, look: Callable[[Collection[K]], Mapping[K, V]]) -> None:
        self._line: SimpleQueue[_PendingQuery | None] = SimpleQueue()
        # the thread knows the line and not the desk, so that a desk that nobody has any more lets it end
        threading.Thread(target=_serve_queries, args=(self._line, look), name=f"desk-{name}", daemon=True).start()
        self.close = weakref.finalize(self, self._line.put, None)
        """Let the thread end; what waits is answered before."""

    async def load(self, question: K) -> V:
        """Raises what the look raises, e.g. sqlalchemy.exc.OperationalError."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V] = loop.create_future()
        self._line.put(_PendingQuery(question, loop, answer))
        return await answer


def _serve_queries(
    line: SimpleQueue[_PendingQuery | None], look: Callable[[Collection[Any]], Mapping[Any, Any]]
) -> None:
    open_ = True
    while open_ and (first := line.get()) is not None:
        asked = [first]
        with contextlib.suppress(Empty):
            while open_ and len(asked) < _BATCH_SIZE:
                following = line.get_nowait()
                if following is None:
                    open_ = False
                else:
                    asked.append(following)
        answers: Mapping[Any, Any] = {}
        failure: Exception | None = None
        try:
            answers = look({one.question for one in asked})
        except Exception as error:  # noqa: BLE001 - whoever asked is told; the next question may fare better
            failure = error
        for loop in {one.loop for one in asked}:
            here = [one for one in asked if one.loop is loop]
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_resolve, here, answers, failure)


def _resolve(asked: Sequence[_PendingQuery], answers: Mapping[Any, Any], failure: Exception | None) -> None:
    for one in asked:
        if one.answer.done():  # its request was given up
            continue
        if failure is not None:
            one.answer.set_exception(failure)
        else:
            one.answer.set_result(answers[one.question])
