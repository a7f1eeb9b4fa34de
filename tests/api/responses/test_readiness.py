"""One answer for all probes: fetched once at a time, cached for a while, exceptions too."""

import threading

import anyio
import anyio.lowlevel
import pytest

from api.responses import readiness
from api.responses.readiness import SharedAnswer


def test_many_probes_ask_once_and_hold_no_shared_thread() -> None:
    asked: list[int] = []
    begun, answered = threading.Event(), threading.Event()

    def slow() -> int:
        asked.append(1)
        begun.set()
        assert answered.wait(60)
        return len(asked)

    async def main() -> list[int]:
        shared, answers = SharedAnswer(slow), list[int]()

        async def probe() -> None:
            answers.append(await shared.get())

        limiter = anyio.to_thread.current_default_thread_limiter()
        async with anyio.create_task_group() as tasks:
            for _ in range(300):
                tasks.start_soon(probe)
            while not begun.is_set():
                await anyio.lowlevel.checkpoint()
            assert limiter.borrowed_tokens == 0
            answered.set()
        answers.append(await shared.get())
        return answers

    assert anyio.run(main) == [1] * 301
    assert len(asked) == 1


def test_an_answer_that_is_old_is_fetched_again_and_a_failure_is_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def fail() -> int:
        asked.append(1)
        raise ConnectionError(str(len(asked)))

    async def main() -> None:
        shared = SharedAnswer(fail)
        for age, expected in ((60.0, "1"), (60.0, "1"), (0.0, "2")):
            monkeypatch.setattr(readiness, "MAX_AGE_SECONDS", age)
            with pytest.raises(ConnectionError, match=expected):
                await shared.get()

    anyio.run(main)
    assert len(asked) == 2


def test_a_client_that_leaves_does_not_end_it_for_the_others() -> None:
    left = threading.Event()

    def slow() -> int:
        assert left.wait(60)
        return 7

    async def main() -> int:
        shared = SharedAnswer(slow)
        with anyio.move_on_after(0.05) as patience:
            await shared.get()
        assert patience.cancelled_caught
        left.set()
        return await shared.get()

    assert anyio.run(main) == 7
