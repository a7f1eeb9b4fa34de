"""Capture of output: a bounded tail as storable text, without the secrets that a trainer repeats."""

import pytest

from worker.run.pipes import Redactor, TailBuffer, storable_text

SECRET = "hf_abcdefgh"


def test_tail_keeps_whole_last_lines() -> None:
    tail = TailBuffer(limit=12)
    for _ in range(100):
        tail.feed(b"first\nsecond\n")
    assert tail.cut
    assert tail.text() == "second\n"
    assert tail.last_lines(5) == "second"


def test_a_tail_that_was_not_cut_is_complete() -> None:
    tail = TailBuffer(limit=100)
    tail.feed(b"one\n\ntwo\n")
    assert (tail.cut, tail.text(), tail.last_lines(1)) == (False, "one\n\ntwo\n", "two")


def test_a_tail_of_no_bytes() -> None:
    tail = TailBuffer(limit=0)
    tail.feed(b"words\n")
    assert tail.text() == ""


def test_text_is_storable() -> None:
    assert storable_text(b"a\x00b\xff\xed\xa0\x80").encode().count(b"\x00") == 0


def hiding() -> Redactor:
    redact = Redactor()
    redact.hide(SECRET)
    return redact


def test_without_a_secret_nothing_is_replaced() -> None:
    assert Redactor()(b"as it was", cut=True) == b"as it was"


def test_every_occurrence_of_a_secret_is_replaced() -> None:
    assert hiding()(f"a {SECRET}{SECRET} b".encode()) == b"a [secret][secret] b"


@pytest.mark.parametrize("kept", range(1, len(SECRET)))
def test_a_tail_that_begins_inside_a_secret_shows_no_part_of_it(kept: int) -> None:
    tail = TailBuffer(kept + 4, hiding())
    for piece in (f"x {SECRET[:5]}", f"{SECRET[5:]} end"):  # also split between two reads
        tail.feed(piece.encode())
    assert tail.text() == "[secret] end"
