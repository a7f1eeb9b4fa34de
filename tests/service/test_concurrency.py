"""Slots with a share per owner."""

from concurrent.futures import ThreadPoolExecutor

from service.concurrency import ConcurrencyLimiter


def test_an_owner_has_a_share_of_the_slots_and_all_owners_have_no_more_than_there_are() -> None:
    slots = ConcurrencyLimiter(total=3, per_owner=2)
    assert [slots.acquire(owner) for owner in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    slots.release("a")
    assert [slots.acquire(owner) for owner in ("b", "c")] == [True, False]
    for owner in ("a", "b", "b"):
        slots.release(owner)
    assert slots == ConcurrencyLimiter(total=3, per_owner=2, _freed=slots._freed)


def test_a_slot_that_is_given_back_goes_to_one_who_waits() -> None:
    slots = ConcurrencyLimiter(total=2, per_owner=1)
    assert slots.acquire("a")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(slots.acquire, "a", 30)
        assert not slots.acquire("a", 0.01)
        slots.release("a")
        assert waiting.result()
