"""Checkpoint store: copies of a job's checkpoints in the object storage, from which another host resumes it.

Called by ``worker.run.checkpoint_sync``. Objects are named as the trainer names its files, by step; only the highest steps are
kept. An object is complete or absent, and those of the same step hold the same bytes in every attempt, so late writes of
a worker that lost its job do no harm. The trainer does not take part: it holds no credentials.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from pruning.files import CorruptDownloadError, write_verified
from service.artifacts.garbage import CHECKPOINTS
from service.artifacts.s3 import PART_BYTES, READ_BYTES, Bucket

KEPT = 2
"""Checkpoints kept, as many as by ``pruning.training.checkpoint``."""
_PARTIAL = ".writing-"  # the trainer removes such files before it begins
_SHA256 = "sha256"
log = logging.getLogger(__name__)


class CopyInterruptedError(Exception):
    """The copy must stop."""


class Interruption:
    """Condition that ends a copy between two of its parts."""

    def __init__(self, condition: Callable[[], bool]) -> None:
        self._condition = condition

    def raise_if_due(self) -> None:
        """Raises CopyInterruptedError."""
        if self._condition():
            raise CopyInterruptedError


def fetch(bucket: Bucket, job_id: str, folder: Path, interruption: Interruption) -> str | None:
    """Download the newest checkpoint to ``folder`` unless a file there is as new; its name if it was downloaded.

    A damaged one is skipped for the one before. Raises StorageUnavailableError, OSError, CopyInterruptedError.
    """
    newest = max(map(_step, _file_names(folder)), default=-1)
    for name in sorted(_object_names(bucket, job_id), key=_order, reverse=True):
        if _step(name) <= newest:
            break
        try:
            _download(bucket, _object_key(job_id, name), folder / name, interruption)
        except CorruptDownloadError:
            log.warning("checkpoint %s of job %s from the storage is damaged", name, job_id)
        else:
            return name
    return None


def upload(bucket: Bucket, job_id: str, folder: Path, interruption: Interruption) -> None:
    """Store the newest checkpoints of ``folder`` that are not stored yet, and delete those that they replace.

    Raises StorageUnavailableError, OSError, CopyInterruptedError.
    """
    stored = _object_names(bucket, job_id)
    newest = sorted(stored | _file_names(folder), key=_order)[-KEPT:]
    for name in reversed(newest):
        if name in stored:
            continue
        try:
            with (folder / name).open("rb") as file:
                _upload_file(bucket, _object_key(job_id, name), file, interruption)
        except FileNotFoundError:  # the trainer has newer ones by now, each of which starts another upload
            return
    interruption.raise_if_due()
    bucket.delete(_object_key(job_id, name) for name in sorted(stored - set(newest)))


def _object_names(bucket: Bucket, job_id: str) -> set[str]:
    folder = _object_key(job_id, "")
    return {key.removeprefix(folder) for page in bucket.list_pages(folder) for key in page}


def _file_names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


def _object_key(job_id: str, name: str) -> str:
    return f"{CHECKPOINTS}{job_id}/{name}"


def _step(name: str) -> int:
    """The number in a checkpoint's name."""
    digits = re.search(r"\d+", name)
    return int(digits.group()) if digits else 0


def _order(name: str) -> tuple[int, str]:
    return _step(name), name


def _upload_file(bucket: Bucket, key: str, file: BufferedReader, interruption: Interruption) -> None:
    digest = hashlib.file_digest(file, hashlib.sha256).hexdigest()
    file.seek(0)

    def parts() -> Iterator[bytes]:
        while data := file.read(PART_BYTES):
            interruption.raise_if_due()
            yield data

    bucket.put(key, parts(), metadata={_SHA256: digest})


def _download(bucket: Bucket, key: str, target: Path, interruption: Interruption) -> None:
    """Raises CorruptDownloadError, and the exceptions of :func:`fetch`."""
    size, metadata = bucket.head(key)

    def parts() -> Iterator[bytes]:
        for start in range(0, size, READ_BYTES):
            interruption.raise_if_due()
            yield bucket.get(key, start, min(start + READ_BYTES, size))

    write_verified(parts(), target, sha256=metadata.get(_SHA256, ""), size=size, prefix=_PARTIAL)
