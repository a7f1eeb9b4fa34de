"""Questions that are answered together: which share a look, and what becomes of them when it fails or nobody waits."""

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from api.request.query_batcher import QueryBatcher
from tests.waiting import wait_until


class Database:
    """Looks that the test holds up, and remembers."""

    def __init__(self) -> None:
        self.looks: list[list[str]] = []
        self.held = threading.Event()
        self.held.set()

    def look(self, questions: Collection[str]) -> Mapping[str, str]:
        self.looks.append(sorted(questions))
        assert self.held.wait(10)
        if "broken" in questions:
            raise OSError("away")
        return {question: question.upper() for question in questions}

    @contextmanager
    def busy(self) -> Iterator[None]:
        self.held.clear()
        try:
            yield
        finally:
            self.held.set()


def run(asked: Callable[[QueryBatcher[str, str], Database], Coroutine[Any, Any, None]]) -> None:
    database = Database()
    desk = QueryBatcher("test", database.look)
    asyncio.run(asked(desk, database))
    desk.close()
    wait_until(
        lambda: not any(thread.name == "desk-test" for thread in threading.enumerate()), what="the desk's thread"
    )


async def begun(database: Database, looks: int) -> None:
    while len(database.looks) < looks:
        await asyncio.sleep(0)


def test_what_is_asked_during_a_look_shares_the_next() -> None:
    async def asked(desk: QueryBatcher[str, str], database: Database) -> None:
        with database.busy():
            first = asyncio.create_task(desk.load("a"))
            await begun(database, 1)
            others = [asyncio.create_task(desk.load(question)) for question in "baba"]
            await asyncio.sleep(0)
            assert not first.done()
        assert await first == "A"
        assert await asyncio.gather(*others) == ["B", "A", "B", "A"]
        assert database.looks == [["a"], ["a", "b"]]  # "a" again: its first answer was read before it was asked

    run(asked)


def test_a_look_that_fails_is_told_to_all_who_share_it_and_to_no_others() -> None:
    async def asked(desk: QueryBatcher[str, str], database: Database) -> None:
        with database.busy():
            before = asyncio.create_task(desk.load("a"))
            await begun(database, 1)
            sharing = [asyncio.create_task(desk.load(question)) for question in ("broken", "b")]
            await asyncio.sleep(0)
        assert await before == "A"
        for one in sharing:
            with pytest.raises(OSError, match="away"):
                await one
        assert await desk.load("b") == "B"

    run(asked)


def test_a_request_that_is_given_up_disturbs_no_other() -> None:
    async def asked(desk: QueryBatcher[str, str], database: Database) -> None:
        with database.busy():
            gone, here = (asyncio.create_task(desk.load(question)) for question in "ab")
            await begun(database, 1)
            gone.cancel()
            await asyncio.sleep(0)
        assert await here == "B"
        assert gone.cancelled()

    run(asked)


def test_any_loop_may_ask() -> None:
    desk = QueryBatcher("test", Database().look)
    assert [asyncio.run(desk.load(question)) for question in "ab"] == ["A", "B"]
    desk.close()
