"""Maintenance thread: requeues jobs with expired leases and starts queued jobs whose wake-up message was lost.

Started by ``worker.app``. It also records this worker's heartbeat. Due jobs are run in threads of the maintainer, not by a
message: a worker with an unreachable broker also runs all jobs, only later.
"""

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable

from sqlalchemy.orm import Session
from structlog.contextvars import bound_contextvars

from service import failpoints
from service.db.engine import DATABASE_UNAVAILABLE
from service.db.models import Job
from service.jobs import heartbeats, turns
from service.jobs.claims import count_startable
from service.jobs.reaper import reap_expired_leases, report_unrunnable_jobs
from service.jobs.turns import Turn
from service.tracing import spans
from worker.context import Context
from worker.periodic import PeriodicThread
from worker.run import loop
from worker.run.attempt_trace import record_lost_attempt

_JITTER = 0.2
_TURN = 0.5
"""Time between two turns of the whole service, in ticks of one worker: a worker that is alone has its turn at every tick."""
log = logging.getLogger(__name__)


def _clock_offset() -> float:
    return time.time() - time.monotonic()


class Maintainer:
    """Maintainer of a worker process; any number may run at once. A tick every ``rescue_seconds``."""

    def __init__(self, context: Context, work: Callable[[Context], object] = loop.work) -> None:
        """``work`` is called in a thread for each job that could be started."""
        self._context = context
        self._work = work
        self._worker_threads: list[threading.Thread] = []
        self._clock_offset = _clock_offset()
        self._starting = True
        self._reap_from = 0.0
        """Before this moment of ``time.monotonic()`` no leases are reaped."""
        self._thread = PeriodicThread("maintainer", self._run_once, retry_seconds=context.settings.rescue_seconds)

    def start(self) -> None:
        """The first tick comes at once: until then the service does not know of this worker."""
        self._thread.start()

    def stop(self) -> None:
        """Wait for the jobs that it started and remove this worker's heartbeat, which would expire anyway.

        A worker that is to exit has set ``stopping`` before.
        """
        self._thread.stop(self._context.settings.rescue_seconds)
        for thread in self._worker_threads:
            thread.join()  # waits for its trainer, and no longer than its grace
        try:
            with self._context.database.write() as session:
                heartbeats.remove(session, self._context.worker_id)
        except DATABASE_UNAVAILABLE as error:
            log.warning("the heartbeat could not be removed: %s", error)

    def _run_once(self) -> float:
        self.tick()
        return self._context.settings.rescue_seconds * (1 + random.uniform(-_JITTER, _JITTER))  # noqa: S311 - no secret

    def tick(self) -> None:
        """Record the heartbeat, requeue lost jobs, and start as many due jobs as this worker could run."""
        context, settings = self._context, self._context.settings
        with context.database.write() as session:
            heartbeats.record(
                session,
                worker_id=context.worker_id,
                hostname=socket.gethostname(),
                pid=os.getpid(),
                slots=settings.worker_slots,
                devices=context.devices.total,
            )
            requeued, unrunnable = self._maintain_queue(session) if self._may_reap() else ([], [])
            lost = [session.get_one(Job, job_id) for job_id in requeued] if spans.active() is not None else []
            if requeued:
                failpoints.hit(failpoints.Failpoint.REQUEUE_WRITTEN)
        if requeued:
            context.metrics.reaped(len(requeued))
            failpoints.hit(failpoints.Failpoint.REQUEUE_COMMITTED)
        for job in lost:
            record_lost_attempt(job)
        for job_id in requeued:
            with bound_contextvars(job_id=job_id):
                log.warning("job %s was lost by its worker and taken from it", job_id)
        for job_id in unrunnable:
            with bound_contextvars(job_id=job_id):
                log.warning("no live worker can run job %s; an event of it says why", job_id)
        if not context.stopping.is_set():
            for _ in range(self._count_startable()):
                self._start_worker_thread()

    def _maintain_queue(self, session: Session) -> tuple[list[str], list[str]]:
        """In its turn, or as a worker that has just started: the jobs that were requeued, and those that no worker has devices
        enough for."""
        settings = self._context.settings
        in_turn = turns.take(session, Turn.REAPING, every_seconds=settings.rescue_seconds * _TURN)
        if not in_turn and not self._starting:
            return [], []
        self._starting = False
        requeued = reap_expired_leases(
            session, max_attempts=settings.max_attempts, retry_delay_seconds=settings.retry_delay_seconds
        )
        if not in_turn:
            return requeued, []
        return requeued, report_unrunnable_jobs(session, worker_seen_seconds=settings.worker_seen_seconds)

    def _may_reap(self) -> bool:
        """Not within three heartbeats after the host was suspended: leases expired meanwhile, and their workers may have been
        suspended

        as well. During a suspend the wall clock runs and the monotonic clock stops. A clock that is set has the same effect, and
        causes the same delay.
        """
        offset, former = _clock_offset(), self._clock_offset
        self._clock_offset = offset
        if offset - former > self._context.settings.heartbeat_seconds:
            log.info("this host was suspended for %.0f s: its workers get time to renew their leases", offset - former)
            self._reap_from = time.monotonic() + 3 * self._context.settings.heartbeat_seconds
        return time.monotonic() >= self._reap_from

    def _count_startable(self) -> int:
        if not (slots := self._context.free_slots):
            return 0
        with self._context.devices_lock:
            total, free = self._context.devices.total, self._context.devices.free
        with self._context.database.read() as session:
            return count_startable(session, devices=total, free_devices=free, slots=slots)

    def _start_worker_thread(self) -> None:
        """Run jobs in a new thread until none is due; it takes a slot, as Celery's threads do."""

        def work() -> None:
            try:
                self._work(self._context)
            except DATABASE_UNAVAILABLE as error:
                log.warning("the database is unreachable: %s", error)
            except Exception:
                log.exception("a worker thread failed; its job is requeued when the lease has expired")

        self._worker_threads = [thread for thread in self._worker_threads if thread.is_alive()]
        self._worker_threads.append(threading.Thread(target=work, name="worker thread", daemon=True))
        self._worker_threads[-1].start()
