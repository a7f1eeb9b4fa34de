"""Cache of uploaded models on this host's disk: fetched once, verified, and removed when the cache is full.

    models/<id>/config.json …                       under the data directory, shared by all jobs of this host
    work/<job>/attempt-2/uploads/<id> → that        where the trainer looks first

A model's id stands for its content, so a folder that exists is right. The time of a folder's last use is its own time of change.
Called by ``worker.run.preparation``, and by ``worker.maintenance.garbage_collector`` when a limit was lowered.
"""

import errno
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from pruning.files import CorruptDownloadError, write_verified
from service import uploaded_models
from service.db.engine import Database
from service.ids import is_model_id
from service.settings import Settings
from worker.files.host_lock import host_lock
from worker.files.trainer_access import let_pass
from worker.files.work_dirs import folder_bytes, remove_folder

MARGIN_BYTES = 256 * 1024**2
"""Left free for checkpoints and for what else writes to the disk."""


def models_folder(data_dir: Path) -> Path:
    """Where the folders of all uploaded models lie."""
    return data_dir / "models"


def fetch_models(database: Database, settings: Settings, spec: dict[str, Any], work: Path) -> None:
    """Put the uploaded models that ``spec`` names where a trainer in ``work`` finds them; nothing to do where it names none.

    Raises UploadedModelNotFoundError, StorageUnavailableError; OSError, also for a file that did not arrive as it was stored, and
    with ENOSPC, before anything is fetched, where the disk has no room.
    """
    for model_id in sorted(uploaded_models.models_named_in(spec)):
        folder = models_folder(settings.data_dir) / model_id
        folder.parent.mkdir(parents=True, exist_ok=True)
        let_pass(folder.parent, settings)
        with host_lock(folder.parent):
            if not folder.is_dir():
                _download(database, settings, model_id, folder)
            os.utime(folder)
        link = work / "uploads" / model_id
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(folder, target_is_directory=True)


def evict(database: Database, settings: Settings) -> None:
    """Remove what the cache holds above its limit, and partial downloads of a worker that was killed."""
    root = models_folder(settings.data_dir)
    if not root.is_dir():
        return
    with host_lock(root):
        for folder in root.iterdir():
            if folder.name.startswith(".") and folder.is_dir():
                remove_folder(folder)
        _make_room(database, settings, 0)


def _make_room(database: Database, settings: Settings, additional: int) -> None:
    """Remove the models used longest ago until ``additional`` bytes more are within the limit.

    A model that a running job reads stays: its job was claimed before its files were asked for.
    """
    root = models_folder(settings.data_dir)
    with database.read() as session:
        needed = uploaded_models.ids_of_running(session)
    kept = sorted(
        (folder for folder in root.iterdir() if is_model_id(folder.name)), key=lambda each: each.stat().st_mtime
    )
    total = sum(map(folder_bytes, kept)) + additional
    for folder in kept:
        if total <= settings.model_cache_bytes:
            return
        if folder.name not in needed:
            total -= folder_bytes(folder)
            remove_folder(folder)


def _download(database: Database, settings: Settings, model_id: str, folder: Path) -> None:
    with database.read() as session:
        row = uploaded_models.get(session, model_id)
        files = uploaded_models.files_of(session, row.number)
    _make_room(database, settings, row.size)
    free = shutil.disk_usage(folder.parent).free
    if row.size + MARGIN_BYTES > free:
        raise OSError(
            errno.ENOSPC,
            f"model {model_id} needs {row.size} bytes, the disk of the worker has {free} left",
            str(folder.parent),
        )
    unfinished = folder.with_name(f".{model_id}.{secrets.token_hex(4)}")
    unfinished.mkdir()
    try:
        for file in files:
            try:
                chunks = uploaded_models.iter_file(database, file)
                write_verified(chunks, unfinished / file.name, sha256=file.sha256, size=file.size)
            except CorruptDownloadError as error:
                raise CorruptDownloadError(f"{file.name} of an uploaded model arrived damaged") from error
        unfinished.chmod(0o755)
        os.rename(unfinished, folder)
    finally:
        remove_folder(unfinished)
