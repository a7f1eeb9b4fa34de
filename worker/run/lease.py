"""The right to run a job: renewed by a thread of its own while the supervisor is busy with the trainer.

Called by ``supervise.py``. The lease is believed in no longer than the database does: what counts is the moment *before*
the renewal was asked for, on a clock that a stopped process cannot stop.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service import failpoints
from service.db.engine import Database
from service.errors import LeaseLostError
from service.jobs import claims
from service.jobs.claims import ControlRequests
from service.jobs.fence import Fence

UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout)
"""What the database raises when it is away, restarting or overloaded; worth another try."""

_RETRY_SECONDS = 1.0
log = logging.getLogger(__name__)


class Lease:
    """Renews the lease inside the ``with`` block; ``lost`` and ``wishes`` tell what came of it."""

    def __init__(
        self,
        database: Database,
        fence: Fence,
        *,
        lease_seconds: float,
        heartbeat_seconds: float,
        since: float,
    ) -> None:
        """``since``: ``time.monotonic()`` before the claim was made."""
        self.fence = fence
        self.seconds = lease_seconds
        self.requests = ControlRequests(cancel=False, pause=False)
        """What the user has asked for meanwhile."""
        self.on_renewal: Callable[[float], None] = lambda until: None
        """Told of each renewal, by the lease's own thread: until when it holds, by ``time.monotonic()``."""
        self._database = database
        self._heartbeat_seconds = heartbeat_seconds
        self._until = since + lease_seconds
        self._lost = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {fence.job_id}", daemon=True)

    @property
    def until(self) -> float:
        """When it runs out unless it is renewed, by ``time.monotonic()``."""
        return self._until

    @property
    def lost(self) -> bool:
        """Whether the job may belong to another worker by now."""
        return self._lost.is_set() or time.monotonic() > self._until

    def require(self) -> None:
        """Raises LeaseLostError."""
        if self.lost:
            raise self.fence.lost()

    def _beat(self) -> None:
        pause = self._heartbeat_seconds
        while not self._over.wait(pause):
            asked = time.monotonic()
            try:
                with self._database.write() as session:
                    wishes = claims.renew_lease(session, self.fence, lease_seconds=self.seconds)
                    failpoints.hit(failpoints.Failpoint.HEARTBEAT_WRITTEN)
            except LeaseLostError:
                if not self._over.is_set():
                    log.warning("job %s attempt %d: the lease is lost", self.fence.job_id, self.fence.attempt)
                self._lost.set()
                return
            except UNREACHABLE as error:
                log.warning("job %s: no heartbeat, the database is away: %s", self.fence.job_id, error)
                pause = min(_RETRY_SECONDS, self._heartbeat_seconds)
            else:
                failpoints.hit(failpoints.Failpoint.HEARTBEAT_COMMITTED)
                self.requests = wishes
                self._until = asked + self.seconds
                self.on_renewal(self._until)
                pause = self._heartbeat_seconds

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(self._heartbeat_seconds)  # a beat stuck in a dead connection ends by itself, unheard
