"""Limits per caller: token buckets for requests per minute, and a cap on queued jobs.

Called by ``api.request.auth`` and by routes that submit jobs. They hold only where keys are
required. Requests are counted in memory by each process for itself: N processes let N times as many through. Queued
jobs are counted in the database; submissions at the same moment may overshoot by as many.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request
from sqlalchemy.orm import Session

from api.errors.exceptions import TooManyRequestsError
from service.jobs import queries
from service.settings import Settings

WINDOW_SECONDS = 60
QUEUE_RETRY_SECONDS = 30


@dataclass(frozen=True)
class RateLimitResult:
    """State of a token bucket after one request."""

    allowed: bool
    remaining: int
    """Requests that would be allowed now."""
    retry_after: int
    """Seconds until the next is allowed; 0 if one would be now."""
    reset_after: int
    """Seconds until the bucket is full."""


@dataclass
class TokenBuckets:
    """One token bucket per name: full at first, refilled evenly. Any thread may use it."""

    per_minute: int | None
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Tokens, and when they were counted. Bounded by the number of API keys: only valid ones get a bucket."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def consume(self, name: str) -> RateLimitResult | None:
        """Take the token of one request of ``name``; None where requests are not limited."""
        if self.per_minute is None:
            return None
        per_second = self.per_minute / WINDOW_SECONDS
        with self._lock:
            now = self.clock()
            tokens, since = self._buckets.get(name, (float(self.per_minute), now))
            tokens = min(float(self.per_minute), tokens + (now - since) * per_second)
            allowed = tokens >= 1
            tokens -= allowed
            self._buckets[name] = tokens, now
        wait = 0 if tokens >= 1 else math.ceil((1 - tokens) / per_second)
        return RateLimitResult(allowed, int(tokens), wait, math.ceil((self.per_minute - tokens) / per_second))


def check_request_rate(request: Request, buckets: TokenBuckets, name: str) -> None:
    """Count a request and put what remains into the headers of its response. Raises TooManyRequestsError."""
    result = buckets.consume(name)
    if result is None:
        return
    request.state.headers = {
        "RateLimit-Policy": f'"requests";q={buckets.per_minute};w={WINDOW_SECONDS}',
        "RateLimit": f'"requests";r={result.remaining};t={result.reset_after}',
    }
    if not result.allowed:
        detail = f"this API key may make {buckets.per_minute} requests per minute; wait {result.retry_after} s"
        raise TooManyRequestsError("too_many_requests", detail, retry_after=result.retry_after)


def check_queue_length(session: Session, settings: Settings, owner: str, *, adding: int = 1) -> None:
    """Refuse to queue ``adding`` more jobs than ``owner`` may have; paused ones count, or resuming them would pass the limit.

    0 for a job that is paused already. Raises TooManyRequestsError.
    """
    largest = settings.max_queued_jobs_per_owner
    if largest is None or not settings.keys_required:
        return
    waiting = queries.count_waiting(session, owner=owner)
    if waiting + adding > largest:
        raise TooManyRequestsError(
            "too_many_queued_jobs",
            f"{waiting} jobs of {owner} wait or are paused, and at most {largest} may; wait for some to start or cancel some",
            retry_after=QUEUE_RETRY_SECONDS,
        )
