"""Shares of owners and hosts in the messages that a worker sends."""

from worker.webhooks.shares import Shares


def shares(**changes: int) -> tuple[Shares, list[float]]:
    now = [0.0]
    limits = {"total": 4, "per_owner": 2, "per_host": 3, "per_minute": 5} | changes
    return Shares(**limits, clock=lambda: now[0]), now  # type: ignore[arg-type]  # all of the limits are numbers


def test_in_flight() -> None:
    held, _ = shares()
    assert [held.acquire("a", "https://x/1"), held.acquire("a", "https://X/2"), held.acquire("a", "https://y/")] == [
        True,
        True,
        False,
    ]
    assert held.acquire("b", "https://x/")
    assert not held.acquire("c", "https://x/")  # the host has three
    assert held.acquire("c", "https://x:8443/")
    assert not held.acquire("d", "https://z/")  # four in all
    held.release("a", "https://x/1")
    assert held.acquire("d", "https://x/")
    assert held.free == 0


def test_messages_per_minute_to_one_host() -> None:
    held, now = shares()

    def send(url: str, owner: str = "a") -> bool:
        sent = held.acquire(owner, url)
        if sent:
            held.release(owner, url)
        now[0] += 1
        return sent

    assert [send("https://x/") for _ in range(7)] == [True] * 5 + [False] * 2
    assert send("https://y/")
    assert send("https://x/", owner="b")
    now[0] = 60.5  # the first of the five is a minute old
    assert [send("https://x/"), send("https://x/")] == [True, True]
    now[0] = 200
    assert send("https://x/")
    assert len(held._sent) == 1
