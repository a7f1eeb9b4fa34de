"""Copies the checkpoints of one run to the object storage while it goes on, and brings them back before it begins.

Called by ``supervise.py`` around a trainer. The copying has a thread of its own and never delays the training; a storage
that is away costs a warning, and at worst the job starts over elsewhere.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

from service.artifacts.garbage import delete_checkpoints
from service.artifacts.s3 import Bucket, open_bucket
from service.errors import LeaseLostError, StorageUnavailableError
from service.settings import Settings
from worker.files import checkpoint_store
from worker.files.checkpoint_store import CopyInterruptedError, Interruption
from worker.run.event_recorder import EventRecorder
from worker.run.lease import UNREACHABLE

_LEAVING_SECONDS = 8.0
"""How long a worker that leaves waits for a copy, of the 15 s that it has beyond its trainers' grace."""
_LAST_SECONDS = 2.0
"""How long a thread that was told to stop copying is waited for; it hangs in a request then, which ends by itself."""
_NOT_FETCHED = "earlier checkpoints cannot be fetched ({error}); the run begins with those of this host, if it has any"
_NOT_COPIED = "checkpoints stay on this host for now ({error}); training goes on"
log = logging.getLogger(__name__)


@contextlib.contextmanager
def synchronized_checkpoints(settings: Settings, reporter: EventRecorder, leaving: threading.Event) -> Iterator[None]:
    """A trainer runs inside the block: it finds the newest checkpoint that any host has left, and its own are copied.

    Does nothing without an object storage. At the end of a run that may go on elsewhere, waits a while for the last copy.
    Raises what ``reporter.note`` does.
    """
    if settings.storage_url is None:
        yield
        return
    lease, folder = reporter.writer.lease, reporter.work / "checkpoints"
    bucket = open_bucket(settings.storage_url)
    asked_to_stop = Interruption(
        lambda: lease.lost or lease.requests.cancel or lease.requests.pause or leaving.is_set()
    )
    try:
        fetched = checkpoint_store.fetch(bucket, lease.fence.job_id, folder, asked_to_stop)
        if fetched is not None:
            log.info("checkpoint %s came from the storage", fetched)
    except (StorageUnavailableError, OSError) as error:
        _warn(reporter, _NOT_FETCHED.format(error=error))
    except CopyInterruptedError:
        log.info("asked to stop before the checkpoints were here")
    mirror = CheckpointUploader(
        bucket, lease.fence.job_id, folder, lost=lambda: lease.lost, warn=lambda text: _warn(reporter, text)
    )
    reporter.on_checkpoint = mirror.wake
    try:
        yield
    finally:
        mirror.close(_patience(settings, reporter, leaving))


def _patience(settings: Settings, reporter: EventRecorder, leaving: threading.Event) -> float:
    """Seconds to wait for the last copy."""
    lease = reporter.writer.lease
    if reporter.finished is not None or lease.requests.cancel or lease.lost:
        return 0  # nobody will resume this run, or somebody has done so already
    return _LEAVING_SECONDS if leaving.is_set() else settings.term_grace_seconds


def forget(settings: Settings, job_id: str) -> None:
    """Remove the copies of a job that has ended; what the storage does not let go is left to ``tidy.py``."""
    if settings.storage_url is None:
        return
    try:
        delete_checkpoints(open_bucket(settings.storage_url), job_id)
    except StorageUnavailableError as error:
        log.warning("checkpoints of job %s could not be removed: %s", job_id, error)


def _warn(reporter: EventRecorder, text: str) -> None:
    log.warning("%s", text)
    reporter.record_event("log", {"level": "warning", "message": text})


class CheckpointUploader:
    """The thread. Where it falls behind, it passes over checkpoints, but never over the last one."""

    def __init__(
        self, bucket: Bucket, job_id: str, folder: Path, *, lost: Callable[[], bool], warn: Callable[[str], None]
    ) -> None:
        self._bucket, self._job_id, self._folder, self._warn = bucket, job_id, folder, warn
        self._orders: SimpleQueue[bool] = SimpleQueue()
        """True: copy what is new; False: leave."""
        self._cancelled = threading.Event()
        self._interruption = Interruption(lambda: self._cancelled.is_set() or lost())
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"mirror {job_id}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is a new checkpoint."""
        self._orders.put(True)

    def close(self, seconds: float) -> None:
        """Finish what is to be copied, but give up after ``seconds``."""
        if self._failing and seconds:
            self._orders.put(True)  # the storage may be back
        self._orders.put(False)
        self._thread.join(seconds)
        self._cancelled.set()
        self._thread.join(_LAST_SECONDS)

    def _run(self) -> None:
        while self._orders.get() and self._copied():
            pass

    def _copied(self) -> bool:
        """Whether there is a reason to go on."""
        try:
            checkpoint_store.upload(self._bucket, self._job_id, self._folder, self._interruption)
        except CopyInterruptedError:
            return False
        except (StorageUnavailableError, OSError) as error:
            try:
                if not self._failing:  # once per outage
                    self._warn(_NOT_COPIED.format(error=error))
            except (LeaseLostError, *UNREACHABLE):  # the supervisor finds out by itself
                return False
            self._failing = True
        else:
            self._failing = False
        return True
