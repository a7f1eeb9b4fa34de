"""Limits per caller: token buckets for requests per minute, and a cap on queued jobs.

Called by ``api.request.auth`` and by routes that submit jobs. They hold only where keys are
required. Requests are counted by ``api.request.token_buckets``, queued jobs in the database; submissions at the same moment may
overshoot by as many.
"""

from fastapi import Request
from sqlalchemy.orm import Session

from api.errors.exceptions import TooManyRequestsError
from api.request.token_buckets import WINDOW_SECONDS, SharedTokenBuckets, TokenBuckets
from service.jobs import queries
from service.settings import Settings

QUEUE_RETRY_SECONDS = 30


async def check_request_rate(request: Request, buckets: TokenBuckets | SharedTokenBuckets, name: str) -> None:
    """Count a request and put what remains into the headers of its response. Raises TooManyRequestsError."""
    result = await buckets.consume(name) if isinstance(buckets, SharedTokenBuckets) else buckets.consume(name)
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
    """Refuse to queue ``adding`` more jobs than ``owner`` may have; paused ones count, because resuming them must not exceed the
    limit.

    0 for a job that is paused already. Raises TooManyRequestsError.
    """
    largest = settings.max_queued_jobs_per_owner
    if largest is None or not settings.keys_required:
        return
    waiting = queries.count_waiting(session, owner=owner)
    if waiting + adding > largest:
        raise TooManyRequestsError(
            "too_many_queued_jobs",
            f"{waiting} jobs of {owner} are queued or paused, and at most {largest} may be; wait for some to start or cancel some",
            retry_after=QUEUE_RETRY_SECONDS,
        )
