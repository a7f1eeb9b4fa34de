"""Bytes from a trainer's pipes, kept within bounds: whole lines of its output, the tail of its errors.

A trainer that floods its pipes costs the worker a fixed amount of memory and nothing else. Called by ``supervise.py``.
"""

from worker.run.redaction import Redactor

MAX_LINE_BYTES = 1 << 20


class Lines:
    """Cuts a stream into lines; a line longer than ``limit`` bytes comes in pieces (and so will not parse)."""

    def __init__(self, limit: int = MAX_LINE_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes, without line ends and without empty ones."""
        self._rest += data
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        if len(rest) > self._limit:
            lines.append(rest)
            self._rest = bytearray()
        return [bytes(line) for line in lines if line.strip()]

    def close(self) -> list[bytes]:
        """What came after the last line end, if anything did."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest.strip() else []


class Tail:
    """The last ``limit`` bytes of a stream."""

    def __init__(self, limit: int, redact: Redactor | None = None) -> None:
        self._limit = limit
        self._redact = redact or Redactor()
        self._bytes = bytearray()
        self.cut = False
        """Whether earlier bytes were thrown away."""

    def feed(self, data: bytes) -> None:
        """Keep ``data``; forget from the front what no longer fits."""
        self._bytes += data
        surplus = len(self._bytes) - self._limit
        if surplus > 0:
            del self._bytes[:surplus]
            self.cut = True

    def text(self) -> str:
        """Readable text; a first line that was cut is left out."""
        text = readable(self._redact(bytes(self._bytes), cut=self.cut))
        return text.partition("\n")[2] if self.cut and "\n" in text else text

    def last_lines(self, count: int) -> str:
        """The last ``count`` lines that say anything."""
        lines = [line.rstrip() for line in self.text().splitlines() if line.strip()]
        return "\n".join(lines[-count:])


def readable(data: bytes) -> str:
    """Text that any database stores: PostgreSQL has no NUL character."""
    return data.decode("utf-8", errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
