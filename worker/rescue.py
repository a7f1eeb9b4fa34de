"""The thread in every worker that keeps promises others could not: lost jobs come back, unheard bells ring again.

Started by ``app.py``. Also tells the database that this worker lives, and clears away work folders of jobs that ended
while no worker held them.
"""

import logging
import os
import random
import socket
import threading
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs import crash, workers
from jobs.ids import is_job_id
from jobs.models import Job
from jobs.rescue import queued_due, rescue
from jobs.states import TERMINAL
from worker.context import Context
from worker.folders import clear
from worker.lease import UNREACHABLE

_JITTER = 0.2
_SWEEP_EVERY = 30
"""Rounds between two looks at the work folders: five minutes by default."""
log = logging.getLogger(__name__)


class Rescuer:
    """Does its round every ``rescue_seconds`` until it is told to end."""

    def __init__(self, context: Context, ring: Callable[[], object]) -> None:
        self._context = context
        self._ring = ring
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rescuer", daemon=True)

    def start(self) -> None:
        """The first round is done at once: until then the service does not know of this worker."""
        self._thread.start()

    def end(self) -> None:
        """Stop, and take this worker off the list; best effort, for it falls off by itself soon."""
        self._over.set()
        self._thread.join(self._context.settings.rescue_seconds)
        try:
            with self._context.database.write() as session:
                workers.leave(session, self._context.worker_id)
        except UNREACHABLE as error:
            log.warning("could not sign off: %s", error)

    def _run(self) -> None:
        rounds, pause = 0, 0.0
        while not self._over.wait(pause):
            pause = self._context.settings.rescue_seconds * (1 + random.uniform(-_JITTER, _JITTER))  # noqa: S311
            try:
                self.round()
                if rounds % _SWEEP_EVERY == 0:
                    self.sweep()
            except UNREACHABLE as error:
                log.warning("the database is away: %s", error)
            except Exception:
                log.exception("a round of the rescuer failed; the next one is due in %.0f s", pause)
            rounds += 1

    def round(self) -> None:
        """Say that this worker lives, bring lost jobs back, and ring for as many due jobs as this worker could run.

        Only as many: rings that nobody can answer would pile up in the broker for as long as the slots are busy.
        """
        context, settings = self._context, self._context.settings
        with context.database.write() as session:
            workers.beat(
                session, worker_id=context.worker_id, hostname=socket.gethostname(), pid=os.getpid(),
                slots=settings.worker_slots,
            )  # fmt: skip
            rescued = rescue(
                session, max_attempts=settings.max_attempts, retry_delay_seconds=settings.retry_delay_seconds
            )  # fmt: skip
            if rescued:
                crash.here(crash.Point.RESCUE_WRITTEN)
        if rescued:
            crash.here(crash.Point.RESCUE_COMMITTED)
        for job_id in rescued:
            log.warning("job %s was lost by its worker and taken from it", job_id)
        if context.stopping.is_set():
            return
        with context.database.read() as session:
            due = queued_due(session)
        for _ in range(min(due, context.free_slots)):
            self._ring()

    def sweep(self) -> None:
        """Remove the files of jobs that ended while no worker held them (cancelled while they waited, say) or are deleted."""
        settings = self._context.settings
        roots = [root for root in (settings.data_dir / "work", settings.checkpoint_dir) if root and root.is_dir()]
        found = {folder.name for root in roots for folder in root.iterdir() if is_job_id(folder.name)}
        with self._context.database.read() as session:
            needed = _needed(session, found)
        for job_id in found - needed:
            clear(settings, job_id)


def _needed(session: Session, ids: set[str]) -> set[str]:
    """Those that have not ended. A row is there before its folder is, so one that is not there was deleted."""
    open_jobs = select(Job.id).where(Job.id.in_(ids), Job.status.not_in(sorted(TERMINAL)))
    return set(session.scalars(open_jobs)) if ids else set()
