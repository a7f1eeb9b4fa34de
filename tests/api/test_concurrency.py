"""Slots with a share per owner."""

from api.concurrency import ConcurrencyLimiter


def test_an_owner_has_a_share_of_the_slots_and_all_owners_have_no_more_than_there_are() -> None:
    slots = ConcurrencyLimiter(total=3, per_owner=2)
    assert [slots.acquire(owner) for owner in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    slots.release("a")
    assert [slots.acquire(owner) for owner in ("b", "c")] == [True, False]
    for owner in ("a", "b", "b"):
        slots.release(owner)
    assert slots == ConcurrencyLimiter(total=3, per_owner=2, _lock=slots._lock)
