"""Fenced writer: transactions about one running job, retried while the database is unreachable and the lease is valid.

Called by everything in ``worker.run`` that writes. Every write carries the attempt's fence.
"""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import OperationalError, StatementError
from sqlalchemy.orm import Session

from service.db.engine import DATABASE_UNAVAILABLE, Database
from service.errors import StorageUnavailableError
from service.jobs.fence import Fence
from worker.run.lease import Lease
from worker.run.outcome import RejectedWriteError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
T = TypeVar("T")
_PROGRAM_LIMITS = "54"
"""SQLSTATE class of values that PostgreSQL cannot store; the driver raises OperationalError for them."""
log = logging.getLogger(__name__)


class FencedWriter:
    """Writes of one attempt of one job."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self.database = database
        self.lease = lease

    @property
    def fence(self) -> Fence:
        """The second argument of every fenced write, behind the session."""
        return self.lease.fence

    def write(self, change: Callable[[Session], T]) -> T:
        """Commit ``change`` and return its result. Raises as ``with_retry``."""

        def once() -> T:
            with self.database.write() as session:
                return change(session)

        return self.with_retry(once)

    def with_retry(self, work: Callable[[], T]) -> T:
        """Call ``work``, which opens its own transactions, until the database and the object storage answer.

        Raises LeaseLostError; RejectedWriteError at once when the database refuses the values, which another try would not
        change; their own error when they are unreachable for the length of a lease that was renewed meanwhile (a full
        disk answers heartbeats and takes nothing new); that of the storage as soon as the job is to be cancelled.
        """
        deadline = time.monotonic() + self.lease.seconds
        pause = _FIRST_PAUSE
        while True:
            self.lease.require()
            try:
                return work()
            except (*DATABASE_UNAVAILABLE, StorageUnavailableError) as error:
                if _is_rejection(error):
                    raise RejectedWriteError(_reason(error)) from error
                self.lease.require()  # a worker that was frozen here has lost its connection, and the job
                cancelled = isinstance(error, StorageUnavailableError) and self.lease.requests.cancel
                if cancelled or time.monotonic() > deadline:
                    raise
                log.warning("database or object storage is unreachable, trying again: %s", error)
            except (StatementError, OverflowError, UnicodeError) as error:
                raise RejectedWriteError(_reason(error)) from error
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _is_rejection(error: Exception) -> bool:
    code = getattr(error.orig, "sqlstate", None) if isinstance(error, OperationalError) else None
    return code is not None and code.startswith(_PROGRAM_LIMITS)


def _reason(error: Exception) -> str:
    """The driver's message, without the statement."""
    return f"the database refuses the reported values: {getattr(error, 'orig', None) or error}".strip().splitlines()[0]
