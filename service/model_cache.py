"""Cache of uploaded models on this host's disk: verified when they are fetched, removed when the cache is full.

    models/<id>/config.json …       under a folder of the process that calls

Called by ``worker.files.model_cache`` for trainers, whose folder is shared by the workers of a host, and by
``api.predictions.service`` for the process that predicts.
"""

import errno
import shutil
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Protocol

from service import uploaded_models
from service.db.engine import Database
from service.folder_cache import cached_folder, host_lock, make_room, remove_partial

MARGIN_BYTES = 256 * 1024**2
"""Bytes left free for checkpoints and for other writers to the disk."""

Needed = Callable[[], Collection[str]]
"""Ids of models that must stay."""


class WriteVerified(Protocol):
    """Writes a file whose SHA-256 and size are known, or raises OSError (``pruning.files.write_verified``)."""

    def __call__(self, chunks: Iterable[bytes], path: Path, *, sha256: str, size: int) -> None: ...


def fetch_model(
    database: Database, root: Path, model_id: str, limit_bytes: int, write: WriteVerified, needed: Needed = frozenset
) -> Path:
    """The folder of an uploaded model under ``root``, which exists; the least recently used models are removed to free space for
    it.

    Those of the ids ``needed``, which is called while nothing else changes the folder, stay. Raises UploadedModelNotFoundError,
    StorageUnavailableError; OSError, also for a file that did not arrive as it was stored, and with ENOSPC, before anything is
    fetched, where the disk has no space.
    """
    return cached_folder(root, model_id, partial(_download, database, model_id, limit_bytes, write, needed))


def evict(root: Path, limit_bytes: int, needed: Needed) -> None:
    """Remove what the cache holds above its limit, and partial downloads of a process that was killed."""
    if root.is_dir():
        with host_lock(root):
            remove_partial(root)
            make_room(root, limit_bytes, 0, needed())


def _download(database: Database, model_id: str, limit_bytes: int, write: WriteVerified, needed: Needed, folder: Path) -> None:
    with database.read() as session:
        row = uploaded_models.get(session, model_id)
        files = uploaded_models.files_of(session, row.number)
    make_room(folder.parent, limit_bytes, row.size, needed())
    free = shutil.disk_usage(folder.parent).free
    if row.size + MARGIN_BYTES > free:
        raise OSError(errno.ENOSPC, f"model {model_id} needs {row.size} bytes, the disk has {free} left", str(folder.parent))
    for file in files:
        chunks = uploaded_models.iter_file(database, file)
        write(chunks, folder / file.name, sha256=file.sha256, size=file.size)
