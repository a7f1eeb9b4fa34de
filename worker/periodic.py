"""Periodic thread: runs a function again and again in the background until it is stopped.

Used by ``worker.maintenance``, ``worker.webhooks`` and the heartbeat of ``worker.run.lease``. A failed run is logged and retried
after a pause; it never ends the thread.
"""

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context

from service.db.engine import DATABASE_UNAVAILABLE

log = logging.getLogger(__name__)


class PeriodicThread:
    """Calls ``run_once`` between :meth:`start` and :meth:`stop`."""

    def __init__(
        self, name: str, run_once: Callable[[], float | None], *, retry_seconds: float, delay_seconds: float = 0.0
    ) -> None:
        """``run_once`` returns the seconds until its next call, or None to end the thread.

        It is called again after ``retry_seconds`` when it raises, and first after ``delay_seconds``. Its log lines have the fields
        that are bound where this object is made.
        """
        self._name, self._run_once = name, run_once
        self._retry_seconds, self._delay_seconds = retry_seconds, delay_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Start the thread; call it once."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Make no further call, and wait for up to ``timeout`` seconds for the one that may be running."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause: float | None = self._delay_seconds
        while pause is not None and not self._stopping.wait(pause):
            try:
                pause = self._run_once()
            except DATABASE_UNAVAILABLE as error:
                log.warning("%s: the database is unreachable: %s", self._name, error)
                pause = self._retry_seconds
            except Exception:
                log.exception("%s failed; the next try is due in %.0f s", self._name, self._retry_seconds)
                pause = self._retry_seconds
