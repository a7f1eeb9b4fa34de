"""A job's checkpoints in the object storage, so that another host resumes it. Called by ``mirror.py``.

They are objects named as the trainer names its files, by step. An object is there whole or not at all, and those of the same
step hold the same, whichever attempt wrote them; only the highest steps are kept. So a worker that lost its job may be late,
but can undo nothing. The trainer knows nothing of this: it has no credentials.
"""

import hashlib
import logging
import re
import tempfile
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from service.artifacts.garbage import CHECKPOINTS
from service.artifacts.s3 import PART_BYTES, READ_BYTES, Bucket

KEPT = 2
"""As many as ``pruning.training.checkpoint`` keeps."""
_PARTIAL = ".writing-"  # the trainer removes what is named so before it begins
_SHA256 = "sha256"
log = logging.getLogger(__name__)


class CopyInterruptedError(Exception):
    """There is a reason not to go on copying."""


class Interruption:
    """Asked between two parts of a copy."""

    def __init__(self, reason: Callable[[], bool]) -> None:
        self._reason = reason

    def raise_if_due(self) -> None:
        """Raises CopyInterruptedError."""
        if self._reason():
            raise CopyInterruptedError


def fetch(bucket: Bucket, job_id: str, folder: Path, interruption: Interruption) -> str | None:
    """Put the newest checkpoint into ``folder`` unless that has one as new; its name if it came from the storage.

    One that arrives damaged is passed over for the one before. Raises StorageUnavailableError, OSError, CopyInterruptedError.
    """
    here = max(map(_step, _files(folder)), default=-1)
    for name in sorted(_objects(bucket, job_id), key=_order, reverse=True):
        if _step(name) <= here:
            break
        if _download(bucket, _object(job_id, name), folder / name, interruption):
            return name
        log.warning("checkpoint %s of job %s came damaged from the storage", name, job_id)
    return None


def upload(bucket: Bucket, job_id: str, folder: Path, interruption: Interruption) -> None:
    """Store the newest checkpoints of ``folder`` that are not there yet, and remove what they replace.

    Raises StorageUnavailableError, OSError, CopyInterruptedError.
    """
    there = _objects(bucket, job_id)
    newest = sorted(there | _files(folder), key=_order)[-KEPT:]
    for name in reversed(newest):
        if name in there:
            continue
        try:
            with (folder / name).open("rb") as file:
                _upload(bucket, _object(job_id, name), file, interruption)
        except FileNotFoundError:  # meanwhile the trainer has newer ones, which it tells of
            return
    interruption.raise_if_due()
    bucket.delete(_object(job_id, name) for name in sorted(there - set(newest)))


def _objects(bucket: Bucket, job_id: str) -> set[str]:
    folder = _object(job_id, "")
    return {name.removeprefix(folder) for page in bucket.list_pages(folder) for name in page}


def _files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


def _object(job_id: str, name: str) -> str:
    return f"{CHECKPOINTS}{job_id}/{name}"


def _step(name: str) -> int:
    """The number in a checkpoint's name."""
    digits = re.search(r"\d+", name)
    return int(digits.group()) if digits else 0


def _order(name: str) -> tuple[int, str]:
    return _step(name), name


def _upload(bucket: Bucket, name: str, file: BufferedReader, interruption: Interruption) -> None:
    digest = hashlib.file_digest(file, hashlib.sha256).hexdigest()
    file.seek(0)

    def parts() -> Iterator[bytes]:
        while data := file.read(PART_BYTES):
            interruption.raise_if_due()
            yield data

    bucket.put(name, parts(), metadata={_SHA256: digest})


def _download(bucket: Bucket, name: str, target: Path, interruption: Interruption) -> bool:
    """Whether all of it arrived; only then is there a file."""
    size, metadata = bucket.head(name)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=_PARTIAL, delete=False) as file:
        partial = Path(file.name)
        try:
            for start in range(0, size, READ_BYTES):
                interruption.raise_if_due()
                data = bucket.get(name, start, min(start + READ_BYTES, size))
                digest.update(data)
                file.write(data)
            file.close()
            whole = partial.stat().st_size == size and digest.hexdigest() == metadata.get(_SHA256)
            if whole:
                partial.replace(target)
            return whole
        finally:
            partial.unlink(missing_ok=True)
