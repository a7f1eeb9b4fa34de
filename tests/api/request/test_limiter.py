"""No owner takes all the places."""

from api.request.limiter import ConcurrencyLimiter


def test_an_owner_has_a_share_and_all_have_no_more_than_there_is() -> None:
    places = ConcurrencyLimiter(total=3, per_owner=2)
    assert [places.acquire(owner) for owner in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    places.release("a")
    assert [places.acquire(owner) for owner in ("b", "c")] == [True, False]
    for owner in ("a", "b", "b"):
        places.release(owner)
    assert places == ConcurrencyLimiter(total=3, per_owner=2, _lock=places._lock)
