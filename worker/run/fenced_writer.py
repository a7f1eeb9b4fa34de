"""Writes about one running job: fenced by its attempt, tried again while the database is away and the lease holds.

Called by ``reporting.py`` and ``supervise.py``.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.orm import Session

from service.db.engine import Database
from service.errors import StorageUnavailableError
from service.jobs.fence import Fence
from worker.run.lease import UNREACHABLE, Lease

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class FencedWriter:
    """The book in which one attempt of one job is kept."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self.database = database
        self.lease = lease

    @property
    def fence(self) -> Fence:
        """The second argument of every fenced write, behind the session."""
        return self.lease.fence

    def write(self, change: Callable[[Session], T]) -> T:
        """What ``change`` returns, once it is committed. Raises LeaseLostError; whatever else ``change`` raises is not retried."""

        def once() -> T:
            with self.database.write() as session:
                return change(session)

        return self.with_retry(once)

    def with_retry(self, work: Callable[[], T]) -> T:
        """Do ``work``, which opens its own transactions, again and again until database and object storage are there.

        Raises LeaseLostError. Gives up with their own error after the length of a lease that was kept up meanwhile: a full disk
        answers heartbeats and yet takes nothing new; and with that of the storage as soon as the job is to be cancelled.
        """
        deadline = time.monotonic() + self.lease.seconds
        pause = _FIRST_PAUSE
        while True:
            self.lease.require()
            try:
                return work()
            except (*UNREACHABLE, StorageUnavailableError) as error:
                self.lease.require()  # a worker that was frozen in here lost its connection, but above all the job
                cancelled = isinstance(error, StorageUnavailableError) and self.lease.requests.cancel
                if cancelled or time.monotonic() > deadline:
                    raise
                log.warning("database or object storage is away, trying again: %s", error)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
