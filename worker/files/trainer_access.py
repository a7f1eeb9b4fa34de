"""Permissions of a worker's folders for trainers of another user: access to their own folders and no others.

    data folder, work/, work/<job>, datasets/, models/    traversable by name, not listable
    attempt-2/, checkpoints/, tokens/, home/     the trainers' group writes, and what is made there belongs to that group
    everything else of the data folder           closed

The worker is a member of that group: it reads and removes what trainers leave. Nothing is changed where trainers are the worker's
own user (no ESPALIER_TRAINER_USER). Called by ``worker.files`` for the folders that it makes, and by ``worker.run``.
"""

import os
import stat
from pathlib import Path

from service.settings import Settings

_PASSED, _WRITTEN = 0o710, 0o2770
_FOR_OTHERS = 0o007


def tokens_folder(data_dir: Path) -> Path:
    """Folder of the trainers' token cache."""
    return data_dir / "tokens"


def home_folder(data_dir: Path) -> Path:
    """The home of trainers of another user, for what libraries keep there where no variable names a cache."""
    return data_dir / "home"


def open_data_folder(settings: Settings) -> None:
    """Open the trainers' folders in the data folder, and close everything else. Raises OSError."""
    if settings.trainer_ids is None:
        return
    root = settings.data_dir
    ours = {root / "work": _PASSED, root / "datasets": _PASSED, root / "models": _PASSED}
    ours |= {tokens_folder(root): _WRITTEN, home_folder(root): _WRITTEN}
    for entry in root.iterdir():
        mode = entry.lstat().st_mode
        if entry not in ours and not stat.S_ISLNK(mode) and mode & _FOR_OTHERS:
            entry.chmod(stat.S_IMODE(mode) & ~_FOR_OTHERS)
    _share(root, settings, _PASSED)
    for folder, mode in ours.items():
        folder.mkdir(exist_ok=True)
        _share(folder, settings, mode)
    shared = settings.checkpoint_dir
    if shared is not None and shared.is_dir() and not shared.stat().st_mode & stat.S_IXOTH:  # otherwise the operator has opened it
        let_pass(shared, settings)


def let_pass(folder: Path, settings: Settings) -> None:
    """Make ``folder`` traversable for trainers. Raises OSError."""
    _share(folder, settings, _PASSED)


def let_write(folder: Path, settings: Settings) -> None:
    """Let trainers read, write and remove what ``folder`` holds, also what this worker has put there. Raises OSError."""
    if settings.trainer_ids is None:
        return
    _share(folder, settings, _WRITTEN)
    for entry in folder.iterdir():
        found = entry.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            os.chown(entry, -1, settings.trainer_ids[1])
            entry.chmod(stat.S_IMODE(found.st_mode) | stat.S_IRGRP)


def _share(folder: Path, settings: Settings, mode: int) -> None:
    """Give ``folder`` to the trainers' group, unless it is theirs: another worker or a trainer may have made it."""
    if settings.trainer_ids is None:
        return
    group, found = settings.trainer_ids[1], folder.stat()
    if found.st_gid == group and stat.S_IMODE(found.st_mode) == mode:
        return
    os.chown(folder, -1, group)
    folder.chmod(mode)
