"""What is cleared away in the background: jobs and files past their retention, objects that nobody needs.

Started by the rescuer's sweep. It has a thread of its own, for an object storage may be slow or away, and meanwhile the
rescuer has promises to keep.
"""

import logging
import threading

from service.artifacts import garbage
from service.errors import StorageUnavailableError
from service.operations import retention
from worker.context import Context
from worker.run.lease import UNREACHABLE

log = logging.getLogger(__name__)


class GarbageCollector:
    """One per worker process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless the last time is not over."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="tidier", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Until it is over."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            self.collect()
        except UNREACHABLE as error:
            log.warning("the database is away: %s", error)
        except Exception:
            log.exception("clearing away failed; the next time is due in some minutes")

    def collect(self) -> None:
        """All of it, once. Stops early when the worker is about to leave. Raises the database's error when it is away."""
        database, settings, leaving = self._context.database, self._context.settings, self._context.stopping.is_set
        jobs, artifacts = retention.expire(database, settings, leaving)
        if jobs or artifacts:
            log.info("past their retention: %d jobs and %d artifacts of others deleted", jobs, artifacts)
        if settings.storage_url is None:
            return
        try:
            removed = garbage.collect_garbage(database, settings.storage_url, leaving)
        except StorageUnavailableError as error:
            log.warning("%s could not be swept: %s", settings.storage_url, error)
        else:
            if removed:
                log.info("%d objects that nobody needs removed from %s", removed, settings.storage_url)
