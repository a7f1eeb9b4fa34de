"""A secret that a trainer repeats does not stay readable."""

import pytest

from worker.run.pipes import Tail
from worker.run.redaction import Redactor

SECRET = "hf_abcdefgh"


def hiding() -> Redactor:
    redact = Redactor()
    redact.hide(SECRET)
    return redact


def test_nothing_to_hide() -> None:
    assert Redactor()(b"as it was", cut=True) == b"as it was"


def test_every_occurrence_goes() -> None:
    assert hiding()(f"a {SECRET}{SECRET} b".encode()) == b"a [secret][secret] b"


@pytest.mark.parametrize("kept", range(1, len(SECRET)))
def test_a_tail_that_begins_inside_it_shows_no_part_of_it(kept: int) -> None:
    tail = Tail(kept + 4, hiding())
    for piece in (f"x {SECRET[:5]}", f"{SECRET[5:]} end"):  # also split between two reads
        tail.feed(piece.encode())
    assert tail.text() == "[secret] end"
