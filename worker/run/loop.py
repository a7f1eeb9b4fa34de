"""What the doorbell starts: claim the best job, supervise it, and again until nothing is queued.

Called by the Celery task in ``app.py`` in one of Celery's threads, and by the rescuer in threads of its own.
"""

import logging
import time
from dataclasses import replace

from service import failpoints
from service.jobs import claims
from worker.context import Context
from worker.run.supervisor import ClaimedJob, supervise

log = logging.getLogger(__name__)


def work(context: Context) -> int:
    """How many runs were supervised; none when every slot is taken. Raises the database's error when it is away: the rescuer
    looks again later."""
    runs = 0
    while not context.stopping.is_set():
        with context.slot() as free:
            claimed = claim(context) if free else None
            if claimed is None:
                break
            log.info("claimed job %s, attempt %d", claimed.fence.job_id, claimed.fence.attempt)
            supervise(claimed, context)
        runs += 1
    return runs


def claim(context: Context) -> ClaimedJob | None:
    """The best job, now this worker's, with the devices it asks for; None when nothing is due or fits in."""
    with context.devices_lock:
        since = time.monotonic()
        with context.database.write() as session:
            job = claims.claim(
                session, worker_id=context.worker_id, lease_seconds=context.settings.lease_seconds,
                devices=context.devices.total, free_devices=context.devices.free,
            )  # fmt: skip
            claimed = ClaimedJob.from_row(job, since) if job is not None else None
            if claimed is not None:
                failpoints.hit(failpoints.Failpoint.CLAIM_WRITTEN)
        if claimed is None:
            return None
        failpoints.hit(failpoints.Failpoint.CLAIM_COMMITTED)
        return replace(claimed, devices=context.devices.acquire(claimed.spec.get("devices", 1)))
