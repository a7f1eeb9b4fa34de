"""What the doorbell starts: claim the best job, supervise it, and again until nothing is queued.

Called by the Celery task in ``app.py``, in one of the worker's threads.
"""

import logging
import time

from jobs import claims, crash
from worker.context import Context
from worker.supervise import Claimed, supervise

log = logging.getLogger(__name__)


def work(context: Context) -> int:
    """How many runs were supervised. Raises the database's error when it is away: the rescuer rings again later."""
    runs = 0
    while not context.stopping.is_set():
        with context.slot():
            claimed = claim(context)
            if claimed is None:
                break
            log.info("claimed job %s, attempt %d", claimed.job_id, claimed.attempt)
            supervise(claimed, context)
        runs += 1
    return runs


def claim(context: Context) -> Claimed | None:
    """The best job, now this worker's; None when nothing is due."""
    since = time.monotonic()
    with context.database.write() as session:
        job = claims.claim(session, worker_id=context.worker_id, lease_seconds=context.settings.lease_seconds)
        claimed = Claimed.of(job, since) if job is not None else None
        if claimed is not None:
            crash.here(crash.Point.CLAIM_WRITTEN)
    if claimed is not None:
        crash.here(crash.Point.CLAIM_COMMITTED)
    return claimed
