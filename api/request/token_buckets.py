"""Token buckets that count requests per minute: in the memory of one process, or in Redis for all API processes together.

``open_buckets`` chooses by the broker. Called by ``api.request.limits``.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.broker_connection import diagnose
from service.settings import Settings

WINDOW_SECONDS = 60
_SILENCE_SECONDS = 0.25
"""Longest that a request waits for Redis, which answers within a millisecond."""
_PAUSE_SECONDS = 5.0
"""Seconds after a failure of Redis in which requests pass without a call to it: each would wait as long as the first one."""
_CONSUME = """
local limit, clock = tonumber(ARGV[1]), redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'since')
local elapsed = math.max(0, now - (tonumber(kept[2]) or now))
local tokens = math.min(limit, (tonumber(kept[1]) or limit) + elapsed * limit / ARGV[2])
local allowed = tokens >= 1 and 1 or 0
tokens = tokens - allowed
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'since', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], ARGV[2] + 1)
return {allowed, string.format('%.6f', tokens)}
"""
"""One bucket on Redis' own clock, so that hosts need not agree on the time; a full one expires. Redis runs scripts one by one."""
log = logging.getLogger(__name__)


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

    @classmethod
    def from_tokens(cls, tokens: float, per_minute: int, *, allowed: bool) -> "RateLimitResult":
        """State of a bucket of ``per_minute`` tokens that holds ``tokens`` after the request."""
        per_second = per_minute / WINDOW_SECONDS
        wait = 0 if tokens >= 1 else math.ceil((1 - tokens) / per_second)
        return cls(allowed, int(tokens), wait, math.ceil((per_minute - tokens) / per_second))


@dataclass
class TokenBuckets:
    """One token bucket per name: full at first, refilled evenly. Any thread may use it."""

    per_minute: int | None
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Tokens, and when they were counted. Bounded by the number of API keys: only valid ones get a bucket."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    uncounted: ClassVar[int] = 0
    """Requests that passed without being counted: none."""

    def consume(self, name: str) -> RateLimitResult | None:
        """Take the token of one request of ``name``; None where requests are not limited."""
        if self.per_minute is None:
            return None
        with self._lock:
            now = self.clock()
            tokens, since = self._buckets.get(name, (float(self.per_minute), now))
            tokens = min(float(self.per_minute), tokens + (now - since) * self.per_minute / WINDOW_SECONDS)
            allowed = tokens >= 1
            tokens -= allowed
            self._buckets[name] = tokens, now
        return RateLimitResult.from_tokens(tokens, self.per_minute, allowed=allowed)


class SharedTokenBuckets:
    """Token buckets in Redis, for all processes that use it. Belongs to one event loop. While

    Redis is unreachable requests pass: a limit protects the service from one caller, and its loss must not lock out all of them.
    """

    def __init__(self, per_minute: int | None, url: str) -> None:
        """``url`` is that of the broker, redis:// or rediss:// with its parameters; it is not connected to yet."""
        self.per_minute = per_minute
        self._url = url
        self.uncounted = 0
        """Requests that passed without being counted since this process began."""
        self._redis: Redis = Redis.from_url(
            url, socket_connect_timeout=_SILENCE_SECONDS, socket_timeout=_SILENCE_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self._script = self._redis.register_script(_CONSUME)
        self._pause_until = 0.0
        self._is_away = False

    async def consume(self, name: str) -> RateLimitResult | None:
        """Take the token of one request of ``name``; None where requests are not limited or cannot be counted now."""
        if self.per_minute is None:
            return None
        if time.monotonic() < self._pause_until:
            self.uncounted += 1
            return None
        try:
            allowed, tokens = await self._script(keys=[f"espalier:requests:{name}"], args=[self.per_minute, WINDOW_SECONDS])
        except (RedisError, OSError) as error:
            self._note_absence(error)
            return None
        if self._is_away:
            log.warning("Redis answers again: requests are counted; %d passed uncounted", self.uncounted)
            self._is_away = False
        return RateLimitResult.from_tokens(float(tokens), self.per_minute, allowed=bool(allowed))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _note_absence(self, error: Exception) -> None:
        self.uncounted += 1
        self._pause_until = time.monotonic() + _PAUSE_SECONDS
        if not self._is_away:
            log.warning("Redis is unreachable: requests pass without being counted (%s)", diagnose(error, self._url))
        self._is_away = True


def open_buckets(settings: Settings) -> TokenBuckets | SharedTokenBuckets:
    """Buckets in Redis where that is the broker, else in memory: the embedded service has one API process."""
    if settings.broker_url.startswith(("redis://", "rediss://")):
        return SharedTokenBuckets(settings.requests_per_minute, settings.broker_url)
    return TokenBuckets(settings.requests_per_minute)
