"""Folders of uploads on this host's disk, one for each id: downloaded once for all processes, complete or absent.

An id identifies its content, so an existing folder is correct; its modification time is the time of its last use. Downloads to a
folder's parent and removals from it exclude each other. Called by ``worker.files`` and ``service.model_cache``.
"""

import fcntl
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)


@contextmanager
def host_lock(root: Path) -> Iterator[None]:
    """Hold the lock of the folder ``root``, which exists, against other processes of this host."""
    with open(os.open(root / ".lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as lock:  # closed to trainers
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cached_folder(root: Path, name: str, download: Callable[[Path], None]) -> Path:
    """The folder ``name`` under ``root``, which exists; ``download`` fills it where it is not there yet.

    Raises what ``download`` raises, with nothing kept then; OSError.
    """
    folder = root / name
    with host_lock(root):
        if not folder.is_dir():
            unfinished = root / f".{name}.{secrets.token_hex(4)}"
            unfinished.mkdir()
            try:
                download(unfinished)
                unfinished.chmod(0o755)
                os.rename(unfinished, folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        os.utime(folder)
    return folder


def remove_partial(root: Path) -> None:
    """Remove partial downloads of killed processes. Call with the lock held."""
    for folder in root.iterdir():
        if folder.name.startswith(".") and folder.is_dir():
            _remove(folder)


def make_room(root: Path, limit_bytes: int, additional: int, needed: Collection[str]) -> None:
    """Remove the folders used longest ago until ``additional`` bytes more are within the limit. Call with the lock held.

    Folders of the names ``needed`` stay.
    """
    kept = [folder for folder in root.iterdir() if not folder.name.startswith(".") and folder.is_dir()]
    kept.sort(key=lambda folder: folder.stat().st_mtime)
    sizes = {folder: folder_bytes(folder) for folder in kept}
    total = sum(sizes.values()) + additional
    for folder in kept:
        if total <= limit_bytes:
            return
        if folder.name not in needed:
            total -= sizes[folder]
            _remove(folder)


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in ``folder``; another process may remove some meanwhile."""
    total = 0
    for file in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:  # the folder only counts towards the limit
        log.warning("%s could not be removed: %s", folder, error)
