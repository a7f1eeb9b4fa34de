"""Garbage collection: removes unused data of jobs on this host, in the database and in the object storage.

Started by ``worker.app``. It has a thread of its own: an object storage may be slow or unreachable, and the maintainer must renew
the worker's heartbeat meanwhile.
"""

import logging

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import datasets, uploaded_masks, uploaded_models
from service.access import idempotency
from service.artifacts import garbage
from service.db.models import Job
from service.errors import StorageUnavailableError
from service.ids import is_job_id
from service.jobs import list_columns, turns
from service.jobs.turns import Turn
from service.operations import retention
from service.states import TERMINAL
from worker.context import Context
from worker.files import inputs, model_cache, work_dirs
from worker.periodic import PeriodicThread

_MAINTENANCE_TICKS = 30
"""Ticks of the maintainer between two collections: five minutes by default."""
_TURN = 0.5
"""Time between two turns in which rows and objects of the whole service are collected, in collections of one worker."""
_STOP_SECONDS = 1.0
log = logging.getLogger(__name__)


class GarbageCollector:
    """Garbage collector of a worker process; any number may collect at once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._interval = _MAINTENANCE_TICKS * context.settings.rescue_seconds
        self._thread = PeriodicThread("garbage collector", self.run_once, retry_seconds=self._interval)

    def start(self) -> None:
        """Collect at once, then every few minutes."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further collection. One that runs sees ``stopping``, or ends with the process: each removal is independent."""
        self._thread.stop(_STOP_SECONDS)

    def run_once(self) -> float:
        """Collect, what belongs to the whole service in its turn; the seconds until the next collection."""
        with self._context.database.write() as session:
            rows = turns.take(session, Turn.COLLECTION, every_seconds=self._interval * _TURN)
        self.collect(rows=rows)
        return self._interval

    def collect(self, *, rows: bool = True) -> None:
        """Remove everything that is no longer needed; without ``rows`` only what lies on this host.

        Raises the database's error when it is unreachable.
        """
        self._remove_files()
        if rows:
            self._delete_rows()
            self._remove_objects()

    def _remove_files(self) -> None:
        """Files of jobs that ended while no worker held them (cancelled while queued, say) or were deleted, and data sets
        that no job reads."""
        settings = self._context.settings
        roots = [root for root in (settings.data_dir / "work", settings.checkpoint_dir) if root and root.is_dir()]
        found = {folder.name for root in roots for folder in root.iterdir() if is_job_id(folder.name)}
        with self._context.database.read() as session:
            unfinished = _unfinished(session, found)
        for job_id in found - unfinished:
            work_dirs.remove_job_files(settings, job_id)
        inputs.remove_unused_datasets(self._context.database, settings)
        model_cache.evict(self._context.database, settings)

    def _delete_rows(self) -> None:
        """Stored responses and uploads that were kept for a while only, jobs and artifacts past their retention."""
        database, settings = self._context.database, self._context.settings
        with database.write() as session:
            idempotency.delete_expired(session, keep_seconds=settings.idempotency_seconds)
        with database.write() as session:
            datasets.delete_abandoned(session)
            uploaded_masks.delete_abandoned(session)
        uploaded_models.purge_abandoned(database, self._context.stopping.is_set)
        while not self._context.stopping.is_set():
            with database.write() as session:
                filled = list_columns.fill_list_columns(session)
            if not filled:
                break
            log.info("added %d jobs of an older version to the filtered lists", filled)
        if cancelled := retention.cancel_paused(database, settings.paused_days, self._context.stopping.is_set):
            log.info("%d jobs were paused for %g days and are cancelled", cancelled, settings.paused_days)
        jobs, artifacts = retention.expire(database, settings, self._context.stopping.is_set)
        if jobs or artifacts:
            log.info("past their retention: %d jobs and %d artifacts of others deleted", jobs, artifacts)

    def _remove_objects(self) -> None:
        """Objects of the storage that no row names."""
        url = self._context.settings.storage_url
        if url is None:
            return
        try:
            removed = garbage.collect_garbage(self._context.database, url, self._context.stopping.is_set)
        except StorageUnavailableError as error:
            log.warning("garbage collection of %s failed: %s", url, error)
        else:
            if removed:
                log.info("removed %d unused objects from %s", removed, url)


def _unfinished(session: Session, ids: set[str]) -> set[str]:
    """Jobs that have not ended. A row exists before its folder does, so a job without a row was deleted."""
    open_jobs = select(Job.id).where(Job.id.in_(ids), Job.status.not_in(sorted(TERMINAL)))
    return set(session.scalars(open_jobs)) if ids else set()
