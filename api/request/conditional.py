"""Conditional requests and byte ranges (RFC 9110, sections 13 and 14), as pure functions of header values.

Called by ``api.routes.artifacts``, ``api.routes.sweep_results`` and ``api.responses.long_poll``. Validators are strong: an
artifact's entity tag is the SHA-256 of its bytes.
"""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", re.ASCII | re.IGNORECASE)
_TAG = re.compile(r'(W/)?("[^"]*")')


@dataclass(frozen=True)
class ByteRange:
    """Bytes ``start`` to ``stop`` (exclusive) of a representation."""

    start: int
    stop: int


class RangeNotSatisfiableError(Exception):
    """The range begins after the last byte."""


def etag_matches(header: str | None, etag: str, *, weak: bool) -> bool:
    """Whether ``If-Match`` (strong comparison) or ``If-None-Match`` (weak) lists ``etag``; False without the header."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return any(tag == etag and (weak or not is_weak) for is_weak, tag in _TAG.findall(header))


def parse_range(range_header: str | None, if_range: str | None, etag: str, size: int) -> ByteRange | None:
    """The requested part; None means the whole.

    Several ranges, other units and malformed headers are answered with the whole, as RFC 9110 allows. So is an ``If-Range``
    that is not equal to ``etag`` (a date is not a strong validator here, a weak tag never is).
    Raises RangeNotSatisfiableError.
    """
    found = _RANGE.fullmatch(range_header) if range_header is not None else None
    if found is None or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None  # malformed, not unsatisfiable
    elif last:
        start, stop = max(size - int(last), 0), size  # the last n bytes
    else:
        return None
    if start >= size:
        raise RangeNotSatisfiableError
    return ByteRange(start, stop)
