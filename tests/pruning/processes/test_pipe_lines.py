"""Bytes from pipes, cut into lines within bounds of length and time."""

import os
import time
from collections.abc import Iterator
from typing import IO

import pytest

from pruning.processes.pipe_lines import LineBuffer, LineTooLongError, PipeLines, wait_ready


@pytest.fixture
def pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as out, os.fdopen(writing, "wb", buffering=0) as into:
        yield out, into


def soon() -> float:
    return time.monotonic() + 30


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_lines_arrive_complete_however_they_are_cut(size: int) -> None:
    buffer, found = LineBuffer(), list[bytes]()
    data = b'{"a": 1}\n\n  \n{"b": 2}\r\nrest'
    for start in range(0, len(data), size):
        found += buffer.feed(data[start : start + size])
    assert found == [b'{"a": 1}', b'{"b": 2}\r']
    assert buffer.close() == [b"rest"]
    assert buffer.close() == []


def test_a_line_without_end_comes_in_pieces() -> None:
    buffer = LineBuffer(limit=10)
    assert buffer.feed(b"x" * 10) == []
    assert buffer.feed(b"x") == [b"x" * 11]
    assert buffer.feed(b"y\n") == [b"y"]


def test_a_long_line_takes_time_in_proportion_to_its_length() -> None:
    buffer, began = LineBuffer(limit=1 << 30), time.monotonic()
    for _ in range(1 << 12):
        buffer.feed(b"x" * (1 << 14))
    assert len(buffer.feed(b"\n")[0]) == 1 << 26
    assert time.monotonic() - began < 10  # searching all of it for each piece takes minutes


def test_reading_lines_until_the_end(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    out, into = pipe
    lines = PipeLines(out)
    assert lines.read(0.01) == []
    into.write(b"one\ntwo\nthr")
    assert lines.read(30) == [b"one", b"two"]
    assert lines.read(0.01) == []
    into.close()
    assert lines.read(30) is None  # a line that was cut off is left out


def test_reading_line_by_line(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    out, into = pipe
    lines = PipeLines(out)
    into.write(b"one\n")
    into.write(b"two\nthree\nfour\nfi")
    assert [lines.read_line(soon()) for _ in range(2)] == [b"one", b"two"]
    assert lines.read(30) == [b"three", b"four"]
    with pytest.raises(TimeoutError):
        lines.read_line(time.monotonic() + 0.01)
    into.write(b"ve\n")
    assert lines.read_line(soon()) == b"five"
    into.close()
    with pytest.raises(EOFError):
        lines.read_line(soon())


def test_a_line_that_came_in_time_is_read_after_the_deadline(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    out, into = pipe
    into.write(b"one\n")
    assert PipeLines(out).read_line(time.monotonic() - 1) == b"one"


@pytest.mark.parametrize("data", [b"x" * 11, b"x" * 11 + b"\n"])
def test_a_line_that_is_too_long_is_refused(pipe: tuple[IO[bytes], IO[bytes]], data: bytes) -> None:
    out, into = pipe
    into.write(data)
    with pytest.raises(LineTooLongError):
        PipeLines(out, limit=10).read_line(soon())


def test_waiting_for_a_pipe_with_room(pipe: tuple[IO[bytes], IO[bytes]]) -> None:
    _, into = pipe
    os.set_blocking(into.fileno(), False)
    assert wait_ready(into.fileno(), 0, to_write=True)
    while into.write(b"x" * (1 << 16)) is not None:
        pass
    assert not wait_ready(into.fileno(), 0.01, to_write=True)
