"""Lease on a running job: the right to run it, renewed by a heartbeat thread while the supervisor follows the trainer.

Called by ``worker.run.supervisor``. The worker counts its lease no longer than the database does: it counts from the moment
*before* a renewal was requested, on a clock that runs while the process is stopped.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from service import failpoints
from service.db.engine import Database
from service.errors import LeaseLostError
from service.jobs import claims
from service.jobs.claims import ControlRequests
from service.jobs.fence import Fence
from worker.periodic import PeriodicThread

_RETRY_SECONDS = 1.0
log = logging.getLogger(__name__)


class Lease:
    """Lease that is renewed inside the ``with`` block; ``lost`` and ``requests`` have the result."""

    def __init__(
        self, database: Database, fence: Fence, *, lease_seconds: float, heartbeat_seconds: float, claimed_at: float
    ) -> None:
        """``claimed_at``: ``time.monotonic()`` before the claim was made."""
        self.fence = fence
        self.seconds = lease_seconds
        self.requests = ControlRequests(cancel=False, pause=False)
        """Open requests of the user."""
        self.on_renewal: Callable[[float], None] = lambda until: None
        """Called on the heartbeat thread with the new ``until``."""
        self._database = database
        self._heartbeat_seconds = heartbeat_seconds
        self._until = claimed_at + lease_seconds
        self._lost = threading.Event()
        self._thread = PeriodicThread(
            f"lease of job {fence.job_id}",
            self.renew,
            delay_seconds=heartbeat_seconds,
            retry_seconds=min(_RETRY_SECONDS, heartbeat_seconds),
        )

    @property
    def until(self) -> float:
        """Expiry of the lease unless it is renewed, by ``time.monotonic()``."""
        return self._until

    @property
    def lost(self) -> bool:
        """Whether another worker may have the job by now."""
        return self._lost.is_set() or time.monotonic() > self._until

    def require(self) -> None:
        """Raises LeaseLostError."""
        if self.lost:
            raise self.fence.lost()

    def renew(self) -> float | None:
        """Renew it now; the seconds until the next renewal is due, or None once it is lost. Called by the heartbeat thread."""
        requested_at = time.monotonic()
        try:
            with self._database.write() as session:
                requests = claims.renew_lease(session, self.fence, lease_seconds=self.seconds)
                failpoints.hit(failpoints.Failpoint.HEARTBEAT_WRITTEN)
        except LeaseLostError:
            if not self._thread.stopping:
                log.warning("job %s attempt %d: the lease is lost", self.fence.job_id, self.fence.attempt)
            self._lost.set()
            return None
        failpoints.hit(failpoints.Failpoint.HEARTBEAT_COMMITTED)
        self.requests = requests
        self._until = requested_at + self.seconds
        self.on_renewal(self._until)
        return self._heartbeat_seconds

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.stop(self._heartbeat_seconds)  # a renewal stuck in a dead connection times out, unused
