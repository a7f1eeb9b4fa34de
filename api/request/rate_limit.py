"""How much one caller may ask for: requests per minute and waiting jobs. Called by ``api.request.auth`` and by routes that submit.

Both hold only where keys are required. Requests are counted by each process for itself, in memory: N processes let N times
as many through. Waiting jobs are counted in the database; submissions at the very same moment may overshoot by as many.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request
from sqlalchemy.orm import Session

from api.errors.exceptions import TooManyRequestsError
from service.jobs import commands
from service.settings import Settings

WINDOW_SECONDS = 60
QUEUE_RETRY_SECONDS = 30


@dataclass(frozen=True)
class RateLimitResult:
    """What is left of an allowance after one request asked for its part."""

    allowed: bool
    remaining: int
    """Requests that would be granted now."""
    retry_after: int
    """Seconds until the next is granted; 0 if one would be now."""
    reset_after: int
    """Seconds until the whole allowance is back."""


@dataclass
class TokenBuckets:
    """Token buckets, one per key: full at first, refilled evenly. Any thread may use it."""

    per_minute: int | None
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Tokens, and when they were counted; grows with the keys that exist, for strangers get no bucket."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def consume(self, name: str) -> RateLimitResult | None:
        """One request of ``name``; None where nothing is limited."""
        if self.per_minute is None:
            return None
        pace = self.per_minute / WINDOW_SECONDS
        with self._lock:
            now = self.clock()
            tokens, since = self._buckets.get(name, (float(self.per_minute), now))
            tokens = min(float(self.per_minute), tokens + (now - since) * pace)
            granted = tokens >= 1
            tokens -= granted
            self._buckets[name] = tokens, now
        wait = 0 if tokens >= 1 else math.ceil((1 - tokens) / pace)
        return RateLimitResult(granted, int(tokens), wait, math.ceil((self.per_minute - tokens) / pace))


def check_request_rate(request: Request, rates: TokenBuckets, name: str) -> None:
    """Count a request and put what is left into the headers of its answer. Raises TooManyRequestsError."""
    taken = rates.consume(name)
    if taken is None:
        return
    request.state.headers = {
        "RateLimit-Policy": f'"requests";q={rates.per_minute};w={WINDOW_SECONDS}',
        "RateLimit": f'"requests";r={taken.remaining};t={taken.reset_after}',
    }
    if not taken.allowed:
        detail = f"this API key may make {rates.per_minute} requests per minute; wait {taken.retry_after} s"
        raise TooManyRequestsError("too_many_requests", detail, retry_after=taken.retry_after)


def check_queue_length(session: Session, settings: Settings, owner: str, *, adding: int = 1) -> None:
    """Whether ``owner`` may have ``adding`` more jobs wait. Raises TooManyRequestsError."""
    largest = settings.max_queued_jobs_per_owner
    if largest is None or not settings.keys_required:
        return
    waiting = commands.count_queued(session, owner=owner)
    if waiting + adding > largest:
        raise TooManyRequestsError(
            "too_many_queued_jobs",
            f"{waiting} jobs of {owner} wait, and at most {largest} may; wait for some to start or cancel some",
            retry_after=QUEUE_RETRY_SECONDS,
        )
