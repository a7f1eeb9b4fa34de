"""Pipes cut into lines and tails, within bounds."""

from worker.run.pipes import Lines, Tail, readable


def test_lines_arrive_whole_however_they_are_cut() -> None:
    lines, heard = Lines(), list[bytes]()
    for byte in b'{"a": 1}\n\n  \n{"b": 2}\r\nrest':
        heard += lines.feed(bytes([byte]))
    assert heard == [b'{"a": 1}', b'{"b": 2}\r']
    assert lines.close() == [b"rest"]
    assert lines.close() == []


def test_a_line_without_end_comes_in_pieces() -> None:
    lines = Lines(limit=10)
    assert lines.feed(b"x" * 11) == [b"x" * 11]
    assert lines.feed(b"y\n") == [b"y"]


def test_tail_keeps_whole_last_lines() -> None:
    tail = Tail(limit=12)
    for _ in range(100):
        tail.feed(b"first\nsecond\n")
    assert tail.cut
    assert tail.text() == "second\n"
    assert tail.last_lines(5) == "second"


def test_a_tail_that_was_not_cut_is_complete() -> None:
    tail = Tail(limit=100)
    tail.feed(b"one\n\ntwo\n")
    assert (tail.cut, tail.text(), tail.last_lines(1)) == (False, "one\n\ntwo\n", "two")


def test_no_tail_at_all() -> None:
    tail = Tail(limit=0)
    tail.feed(b"words\n")
    assert tail.text() == ""


def test_readable_is_storable() -> None:
    assert readable(b"a\x00b\xff\xed\xa0\x80").encode().count(b"\x00") == 0
