"""The table of legal transitions."""

from service.states import TERMINAL, TRANSITIONS, Status, sources


def test_the_table_is_the_documented_life_of_a_job() -> None:
    assert {(str(a), str(b)) for a, onward in TRANSITIONS.items() for b in onward} == {
        ("queued", "running"),
        ("queued", "paused"),
        ("queued", "cancelled"),
        ("running", "succeeded"),
        ("running", "failed"),
        ("running", "cancelled"),
        ("running", "queued"),
        ("running", "paused"),
        ("paused", "queued"),
        ("paused", "cancelled"),
    }
    assert set(TRANSITIONS) == set(Status)
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED} == TERMINAL


def test_every_state_can_be_reached() -> None:
    assert all(sources(status) for status in Status)
