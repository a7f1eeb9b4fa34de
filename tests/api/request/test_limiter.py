"""No owner takes all the places."""

from api.request.limiter import Places


def test_an_owner_has_a_share_and_all_have_no_more_than_there_is() -> None:
    places = Places(total=3, share=2)
    assert [places.take(owner) for owner in ("a", "a", "a", "b", "c")] == [True, True, False, True, False]
    places.leave("a")
    assert [places.take(owner) for owner in ("b", "c")] == [True, False]
    for owner in ("a", "b", "b"):
        places.leave(owner)
    assert places == Places(total=3, share=2, _lock=places._lock)
