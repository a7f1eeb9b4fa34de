"""Job ids: ``job_`` and a lower-case ULID, so that ids sort by the time they were made and cannot be guessed."""

import re
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def new_job_id() -> str:
    """48 bits of milliseconds and 80 random bits, 26 characters after the prefix."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "job_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def is_job_id(text: str) -> bool:
    """Whether ``text`` could have come from ``new_job_id``."""
    return re.fullmatch(f"job_[{_ALPHABET}]{{26}}", text) is not None
