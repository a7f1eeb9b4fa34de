"""Checkpoint synchronisation with the object storage: download before an attempt, upload while its trainer runs.

Called by ``worker.run.supervisor`` around a trainer. The upload has a thread of its own and never delays the training; an
unreachable storage causes a warning, and at worst the job restarts on another host.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path
from queue import SimpleQueue

from service.artifacts.garbage import delete_checkpoints
from service.artifacts.s3 import Bucket, open_bucket
from service.db.engine import DATABASE_UNAVAILABLE
from service.errors import LeaseLostError, StorageUnavailableError
from service.settings import Settings
from worker.files import checkpoint_store
from worker.files.checkpoint_store import CopyInterruptedError, Interruption
from worker.run.event_recorder import EventRecorder

_SHUTDOWN_SECONDS = 8.0
"""How long a worker that shuts down waits for an upload, of the 15 s that it has beyond its trainers' grace."""
_INTERRUPTED_SECONDS = 2.0
"""Seconds that an interrupted upload is waited for; it is then inside a request with its own timeout."""
_NOT_FETCHED = "earlier checkpoints cannot be downloaded ({error}); the run starts with those of this host, if any"
_NOT_COPIED = "checkpoints stay on this host for now ({error}); training continues"
log = logging.getLogger(__name__)


@contextlib.contextmanager
def synchronized(settings: Settings, recorder: EventRecorder, stopping: threading.Event) -> Iterator[None]:
    """Download the newest checkpoint of any host, then upload those that the trainer leaves inside the block.

    Does nothing without an object storage. At the end of an attempt after which the job may continue elsewhere, waits a while
    for the last upload. Raises what ``recorder.record_event`` does.
    """
    if settings.storage_url is None:
        yield
        return
    lease, folder = recorder.writer.lease, recorder.work / "checkpoints"
    job_id, bucket = lease.fence.job_id, open_bucket(settings.storage_url)
    stop_requested = Interruption(lambda: lease.lost or lease.requests.cancel or lease.requests.pause or stopping.is_set())
    try:
        fetched = checkpoint_store.fetch(bucket, job_id, folder, stop_requested)
        if fetched is not None:
            log.info("checkpoint %s downloaded from the storage", fetched)
    except (StorageUnavailableError, OSError) as error:
        _warn(recorder, _NOT_FETCHED.format(error=error))
    except CopyInterruptedError:
        log.info("asked to stop before the checkpoints were downloaded")
    uploader = CheckpointUploader(bucket, job_id, folder, lost=lambda: lease.lost, warn=lambda text: _warn(recorder, text))
    recorder.on_checkpoint = uploader.wake
    try:
        yield
    finally:
        uploader.close(_last_upload_seconds(settings, recorder, stopping))


def _last_upload_seconds(settings: Settings, recorder: EventRecorder, stopping: threading.Event) -> float:
    """How long to wait for the last upload."""
    lease = recorder.writer.lease
    if recorder.finished is not None or lease.requests.cancel or lease.lost:
        return 0  # the job is not resumed, or another worker has resumed it
    return _SHUTDOWN_SECONDS if stopping.is_set() else settings.term_grace_seconds


def delete_copies(settings: Settings, job_id: str) -> None:
    """Delete the copies of a job that has ended; where the storage is unreachable, the garbage collector deletes them later."""
    if settings.storage_url is None:
        return
    try:
        delete_checkpoints(open_bucket(settings.storage_url), job_id)
    except StorageUnavailableError as error:
        log.warning("checkpoints of job %s could not be removed: %s", job_id, error)


def _warn(recorder: EventRecorder, text: str) -> None:
    log.warning("%s", text)
    recorder.record_event("log", {"level": "warning", "message": text})


class CheckpointUploader:
    """The upload thread. When it falls behind, it skips checkpoints, but never the last one."""

    def __init__(self, bucket: Bucket, job_id: str, folder: Path, *, lost: Callable[[], bool], warn: Callable[[str], None]) -> None:
        self._bucket, self._job_id, self._folder, self._warn = bucket, job_id, folder, warn
        self._commands: SimpleQueue[bool] = SimpleQueue()
        """True: upload what is new; False: end."""
        self._cancelled = threading.Event()
        self._interruption = Interruption(lambda: self._cancelled.is_set() or lost())
        self._failing = False
        run = copy_context().run  # its log lines name job and attempt, too
        self._thread = threading.Thread(target=run, args=(self._run,), name=f"checkpoints of {job_id}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Signal a new checkpoint."""
        self._commands.put(True)

    def close(self, seconds: float) -> None:
        """Finish the uploads that are due, but give up after ``seconds``."""
        if self._failing and seconds:
            self._commands.put(True)  # the storage may be reachable again
        self._commands.put(False)
        self._thread.join(seconds)
        self._cancelled.set()
        self._thread.join(_INTERRUPTED_SECONDS)

    def _run(self) -> None:
        while self._commands.get() and self._upload():
            pass

    def _upload(self) -> bool:
        """Whether the copy should continue."""
        try:
            checkpoint_store.upload(self._bucket, self._job_id, self._folder, self._interruption)
        except CopyInterruptedError:
            return False
        except (StorageUnavailableError, OSError) as error:
            try:
                if not self._failing:  # once per outage
                    self._warn(_NOT_COPIED.format(error=error))
            except (LeaseLostError, *DATABASE_UNAVAILABLE):  # the supervisor detects it as well
                return False
            self._failing = True
        else:
            self._failing = False
        return True
