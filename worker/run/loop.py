"""Work loop: claims the best job, supervises its attempt, and repeats until no job is due.

Called by the Celery task in ``worker.app``, in one of Celery's threads, and by ``worker.maintenance.maintainer`` in its own.
"""

import time

from service import failpoints
from service.jobs import claims
from service.tracing import spans
from worker.context import Context
from worker.run.claimed_job import ClaimedJob
from worker.run.supervisor import supervise


def work(context: Context) -> int:
    """Run jobs until none is due, every slot is taken or the worker stops; how many attempts were run.

    Raises the database's error when it is unreachable: the maintainer tries again later.
    """
    attempts = 0
    while not context.stopping.is_set():
        with context.slot() as free:
            claimed = claim(context) if free else None
            if claimed is None:
                break
            with claimed.log_context():
                supervise(claimed, context)
        attempts += 1
    return attempts


def claim(context: Context) -> ClaimedJob | None:
    """The best job, now this worker's, with the devices that it needs; None when no job is due or it does not fit in."""
    with context.devices_lock:
        claimed_at = time.monotonic()
        with context.database.write() as session:
            job = claims.claim(
                session,
                worker_id=context.worker_id,
                lease_seconds=context.settings.lease_seconds,
                devices=context.devices.total,
                free_devices=context.devices.free,
            )
            queued_at = claims.queued_at(session, job) if job is not None and spans.active() is not None else None
            if job is not None:
                failpoints.hit(failpoints.Failpoint.CLAIM_WRITTEN)
        if job is None:
            return None
        failpoints.hit(failpoints.Failpoint.CLAIM_COMMITTED)
        devices = context.devices.acquire(job.spec.get("devices", 1))
        claimed = ClaimedJob.from_row(job, claimed_at, devices, queued_at)
        if job.claimed_at is not None:
            context.metrics.claimed(claimed.kind, job.not_before, job.claimed_at, (job.trace_context or {}).get("traceparent"))
        return claimed
