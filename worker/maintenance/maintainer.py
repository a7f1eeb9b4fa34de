"""The thread in every worker that keeps promises others could not: lost jobs come back, jobs nobody rang for are run.

Started by ``app.py``. Where this worker could run due jobs, the thread starts that in threads of its own and rings no bell:
a worker that cannot hear its broker does all its work too, only later. Also tells the database that this worker lives, and
clears away work folders of jobs that ended while no worker held them.
"""

import logging
import os
import random
import socket
import threading
from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import datasets, failpoints
from service.access import idempotency
from service.db.models import Job
from service.ids import is_job_id
from service.jobs import heartbeats
from service.jobs.claims import count_startable
from service.jobs.reaper import reap_expired_leases, report_unrunnable_jobs
from service.states import TERMINAL
from worker.context import Context
from worker.files import inputs
from worker.files.work_dirs import remove_job_files
from worker.maintenance.garbage_collector import GarbageCollector
from worker.run import loop
from worker.run.lease import UNREACHABLE

_JITTER = 0.2
_SWEEP_EVERY = 30
"""Rounds between two looks at the work folders: five minutes by default."""
log = logging.getLogger(__name__)


class Maintainer:
    """Does its round every ``rescue_seconds`` until it is told to end."""

    def __init__(self, context: Context, work: Callable[[Context], object] = loop.work) -> None:
        """``work`` is done in a thread for each job that could be started."""
        self._context = context
        self._work = work
        self._worker_threads: list[threading.Thread] = []
        self._garbage_collector = GarbageCollector(context)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rescuer", daemon=True)

    def start(self) -> None:
        """The first round is done at once: until then the service does not know of this worker."""
        self._thread.start()

    def end(self) -> None:
        """Stop, wait for the jobs that it started, and take this worker off the list; that is best effort, for it falls off by
        itself soon. A worker that is to leave at once has set ``stopping`` before."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(self._context.settings.rescue_seconds)
        for hand in self._worker_threads:
            hand.join()  # each waits for its trainer, and no longer than its grace
        try:
            with self._context.database.write() as session:
                heartbeats.remove(session, self._context.worker_id)
        except UNREACHABLE as error:
            log.warning("could not sign off: %s", error)

    def _run(self) -> None:
        rounds, pause = 0, 0.0
        while not self._over.wait(pause):
            pause = self._context.settings.rescue_seconds * (1 + random.uniform(-_JITTER, _JITTER))  # noqa: S311
            try:
                self.tick()
                if rounds % _SWEEP_EVERY == 0:
                    self.collect_garbage()
            except UNREACHABLE as error:
                log.warning("the database is away: %s", error)
            except Exception:
                log.exception("a round of the rescuer failed; the next one is due in %.0f s", pause)
            rounds += 1

    def tick(self) -> None:
        """Say that this worker lives, bring lost jobs back, and start as many due jobs as this worker could run."""
        context, settings = self._context, self._context.settings
        with context.database.write() as session:
            heartbeats.record(
                session, worker_id=context.worker_id, hostname=socket.gethostname(), pid=os.getpid(),
                slots=settings.worker_slots, devices=context.devices.total,
            )  # fmt: skip
            rescued = reap_expired_leases(
                session, max_attempts=settings.max_attempts, retry_delay_seconds=settings.retry_delay_seconds
            )  # fmt: skip
            waiting = report_unrunnable_jobs(session, worker_seen_seconds=settings.worker_seen_seconds)
            if rescued:
                failpoints.hit(failpoints.Failpoint.REQUEUE_WRITTEN)
        if rescued:
            failpoints.hit(failpoints.Failpoint.REQUEUE_COMMITTED)
        for job_id in rescued:
            log.warning("job %s was lost by its worker and taken from it", job_id)
        for job_id in waiting:
            log.warning("no live worker has as many devices as job %s asks for", job_id)
        if context.stopping.is_set():
            return
        for _ in range(self._startable()):
            self._start_worker_thread()

    def _startable(self) -> int:
        with self._context.devices_lock:
            total, free = self._context.devices.total, self._context.devices.free
        with self._context.database.read() as session:
            return count_startable(session, devices=total, free_devices=free, slots=self._context.free_slots)

    def _start_worker_thread(self) -> None:
        """Start a thread that works until nothing is left to do; its slot is counted like those of Celery's threads."""

        def work() -> None:
            try:
                self._work(self._context)
            except UNREACHABLE as error:
                log.warning("the database is away: %s", error)
            except Exception:
                log.exception("a thread of the rescuer failed; its job is brought back when the lease has run out")

        self._worker_threads = [hand for hand in self._worker_threads if hand.is_alive()]
        self._worker_threads.append(threading.Thread(target=work, name="hand", daemon=True))
        self._worker_threads[-1].start()

    def collect_garbage(self) -> None:
        """Remove the files of jobs that ended while no worker held them (cancelled while they waited, say) or are deleted,
        data sets that no job reads, and what the database keeps for a while only; the rest is left to the tidier."""
        settings = self._context.settings
        roots = [root for root in (settings.data_dir / "work", settings.checkpoint_dir) if root and root.is_dir()]
        found = {folder.name for root in roots for folder in root.iterdir() if is_job_id(folder.name)}
        with self._context.database.read() as session:
            needed = _needed(session, found)
        for job_id in found - needed:
            remove_job_files(settings, job_id)
        inputs.remove_unused(self._context.database, settings)
        with self._context.database.write() as session:
            idempotency.delete_expired(session, keep_seconds=settings.idempotency_seconds)
            datasets.delete_abandoned(session)
        self._garbage_collector.start()


def _needed(session: Session, ids: set[str]) -> set[str]:
    """Those that have not ended. A row is there before its folder is, so one that is not there was deleted."""
    open_jobs = select(Job.id).where(Job.id.in_(ids), Job.status.not_in(sorted(TERMINAL)))
    return set(session.scalars(open_jobs)) if ids else set()
