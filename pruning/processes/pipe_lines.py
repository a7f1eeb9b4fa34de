"""Line reader for pipes: whole lines of bytes, of bounded length, read with a time limit.

Called wherever a program reads what a child process prints. A child that floods its pipe uses a fixed amount of memory.
"""

import os
import select
import time
from typing import IO

MAX_LINE_BYTES = 1 << 20
_READ_BYTES = 1 << 16


class LineTooLongError(Exception):
    """A line is longer than the reader accepts."""


class LineBuffer:
    """Cuts a stream into lines; a line longer than ``limit`` bytes comes in pieces longer than that, and so does not parse."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._partial = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without line ends and without empty ones."""
        head, newline, tail = data.rpartition(b"\n")  # the bytes before were searched already
        lines: list[bytes] = []
        if newline:
            lines = (bytes(self._partial) + head).split(b"\n")
            self._partial.clear()
        self._partial += tail
        if len(self._partial) > self._limit:
            lines.append(bytes(self._partial))
            self._partial.clear()
        return [line for line in lines if line.strip()]

    def close(self) -> list[bytes]:
        """Bytes after the last line end."""
        rest = bytes(self._partial)
        self._partial.clear()
        return [rest] if rest.strip() else []


class PipeLines:
    """The lines of one pipe, which nothing else may read from. Used by one thread at a time."""

    def __init__(self, pipe: IO[bytes], limit: int = MAX_LINE_BYTES) -> None:
        self._descriptor = pipe.fileno()
        self._limit = limit
        self._buffer = LineBuffer(limit)
        self._unread: list[bytes] = []

    def read(self, seconds: float) -> list[bytes] | None:
        """The lines that have come after at most ``seconds``, perhaps none; None at the end of the stream.

        Bytes after the last line end are left out: the process ended within that line.
        """
        if self._unread:
            lines, self._unread = self._unread, []
            return lines
        if not wait_ready(self._descriptor, seconds):
            return []
        data = os.read(self._descriptor, _READ_BYTES)
        return self._buffer.feed(data) if data else None

    def read_line(self, deadline: float) -> bytes:
        """The next line, before ``deadline`` by ``time.monotonic()``.

        Raises TimeoutError; EOFError when the stream ends first; LineTooLongError, after which the pipe must not be used.
        """
        while not self._unread:
            left = deadline - time.monotonic()
            lines = self.read(max(0.0, left))
            if lines is None:
                raise EOFError
            if not lines and left <= 0:
                raise TimeoutError
            self._unread = lines
        line = self._unread.pop(0)
        if len(line) > self._limit:
            raise LineTooLongError(f"a line has more than {self._limit} bytes")
        return line


def wait_ready(descriptor: int, seconds: float, *, to_write: bool = False) -> bool:
    """Whether ``descriptor`` can be read from, or written to, after at most ``seconds``; its end counts as ready.

    ``poll`` and not ``select``, which refuses descriptors from 1024 on, as servers with many connections have them.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if to_write else select.POLLIN)
    return bool(poll.poll(1000 * seconds))
