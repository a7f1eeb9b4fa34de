"""Query batching: which keys share a query, and what happens when it fails or a caller is cancelled."""

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from api.request.query_batcher import QueryBatcher
from tests.waiting import wait_until


class Database:
    """Queries that the test delays and records."""

    def __init__(self) -> None:
        self.fetches: list[list[str]] = []
        self.held = threading.Event()
        self.held.set()

    def fetch(self, keys: Collection[str]) -> Mapping[str, str]:
        self.fetches.append(sorted(keys))
        assert self.held.wait(10)
        if "broken" in keys:
            raise OSError("away")
        return {key: key.upper() for key in keys}

    @contextmanager
    def busy(self) -> Iterator[None]:
        self.held.clear()
        try:
            yield
        finally:
            self.held.set()


def run(check: Callable[[QueryBatcher[str, str], Database], Coroutine[Any, Any, None]]) -> None:
    database = Database()
    batcher = QueryBatcher("test", database.fetch)
    asyncio.run(check(batcher, database))
    batcher.close()
    wait_until(lambda: not any(thread.name == "batcher-test" for thread in threading.enumerate()), what="the batcher's thread")


async def begun(database: Database, count: int) -> None:
    while len(database.fetches) < count:
        await asyncio.sleep(0)


def test_keys_that_come_during_a_query_share_the_next() -> None:
    async def check(batcher: QueryBatcher[str, str], database: Database) -> None:
        with database.busy():
            first = asyncio.create_task(batcher.load("a"))
            await begun(database, 1)
            others = [asyncio.create_task(batcher.load(key)) for key in "baba"]
            await asyncio.sleep(0)
            assert not first.done()
        assert await first == "A"
        assert await asyncio.gather(*others) == ["B", "A", "B", "A"]
        assert database.fetches == [["a"], ["a", "b"]]  # "a" again: its first value was read before it was asked for

    run(check)


def test_a_failed_query_is_raised_to_all_callers_of_its_batch_and_to_no_others() -> None:
    async def check(batcher: QueryBatcher[str, str], database: Database) -> None:
        with database.busy():
            before = asyncio.create_task(batcher.load("a"))
            await begun(database, 1)
            sharing = [asyncio.create_task(batcher.load(key)) for key in ("broken", "b")]
            await asyncio.sleep(0)
        assert await before == "A"
        for one in sharing:
            with pytest.raises(OSError, match="away"):
                await one
        assert await batcher.load("b") == "B"

    run(check)


def test_a_cancelled_caller_disturbs_no_other() -> None:
    async def check(batcher: QueryBatcher[str, str], database: Database) -> None:
        with database.busy():
            gone, here = (asyncio.create_task(batcher.load(key)) for key in "ab")
            await begun(database, 1)
            gone.cancel()
            await asyncio.sleep(0)
        assert await here == "B"
        assert gone.cancelled()

    run(check)


def test_any_event_loop_may_load() -> None:
    batcher = QueryBatcher("test", Database().fetch)
    assert [asyncio.run(batcher.load(key)) for key in "ab"] == ["A", "B"]
    batcher.close()
