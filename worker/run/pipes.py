"""Capture of a trainer's output within bounds: the end of its standard error, without secrets, as storable text.

Called by ``worker.run.event_recorder``. A trainer that floods its pipes costs the worker a fixed amount of memory; lines of
standard output are cut by ``pruning.processes.pipe_lines``.
"""

from service.redaction import SECRET

_REPLACEMENT = SECRET.encode("ascii")


class Redactor:
    """Removes a secret from output, in case a library repeats it in an error. Passes everything before ``hide``."""

    def __init__(self) -> None:
        self._secret = b""

    def hide(self, secret: str) -> None:
        """``secret`` is ASCII without quotes and backslashes, so JSON does not escape it."""
        self._secret = secret.encode("ascii")

    def __call__(self, data: bytes, *, cut: bool = False) -> bytes:
        """``data`` without the secret. ``cut``: its beginning is missing, possibly with the beginning of the secret."""
        if not self._secret:
            return data
        if cut:
            ends = (self._secret[start:] for start in range(1, len(self._secret)))
            data = next((_REPLACEMENT + data[len(end) :] for end in ends if data.startswith(end)), data)
        return data.replace(self._secret, _REPLACEMENT)


class TailBuffer:
    """The last ``limit`` bytes of a stream."""

    def __init__(self, limit: int, redact: Redactor | None = None) -> None:
        self._limit = limit
        self._redact = redact or Redactor()
        self._bytes = bytearray()
        self.cut = False
        """Whether earlier bytes were dropped."""

    def feed(self, data: bytes) -> None:
        """Append ``data``; drop from the front what no longer fits."""
        self._bytes += data
        surplus = len(self._bytes) - self._limit
        if surplus > 0:
            del self._bytes[:surplus]
            self.cut = True

    def text(self) -> str:
        """Storable text; a first line that was cut is left out."""
        text = storable_text(self._redact(bytes(self._bytes), cut=self.cut))
        return text.partition("\n")[2] if self.cut and "\n" in text else text

    def last_lines(self, count: int) -> str:
        """The last ``count`` lines that are not blank."""
        lines = [line.rstrip() for line in self.text().splitlines() if line.strip()]
        return "\n".join(lines[-count:])


def storable_text(data: bytes) -> str:
    """Text that any database stores: PostgreSQL has no NUL character."""
    return data.decode("utf-8", errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
