"""The last write of a run: the verdict becomes the job's state. Called by ``supervise.py``, fenced like every other."""

from sqlalchemy.orm import Session

from service.db.models import Job
from service.jobs import claims
from service.jobs.fence import Fence
from service.settings import Settings
from worker.run.event_recorder import EventRecorder
from worker.run.outcome import MASK, Failed, Outcome


def write_verdict(
    session: Session, verdict: Outcome | Failed, fence: Fence, reporter: EventRecorder, settings: Settings
) -> Job:
    """The job as it is afterwards: ended, or queued for another attempt. Raises LeaseLostError."""
    if isinstance(verdict, Failed):
        if not verdict.retryable:
            return claims.fail(session, fence, error=verdict.as_failure())
        return claims.retry_or_fail(
            session, fence, error=verdict.as_failure(), retry_delay_seconds=settings.retry_delay_seconds,
            max_attempts=settings.max_attempts,
        )  # fmt: skip
    if verdict is Outcome.SUCCEEDED:
        assert reporter.finished is not None  # noqa: S101 - judge() grants success only with it
        mask = reporter.stored.get(MASK)  # a job that exports has none of its own
        return claims.succeed(session, fence, result=reporter.finished.metrics, mask_artifact_id=mask)
    if verdict is Outcome.CANCELLED:
        return claims.cancel(session, fence)
    if verdict is Outcome.PAUSED:
        return claims.pause(session, fence)
    return claims.requeue(session, fence, reason="worker_shutdown")
