"""Uploaded data sets on a worker's disk: fetched before a trainer starts that needs one, removed when no job does.

    datasets/<id>/<split>.jsonl.gz                  under the data directory, for all jobs of this host
    work/<job>/attempt-2/uploads/<id> → that        where the trainer looks first

An id stands for its content, so a folder that is there is right. Called by ``supervise.py`` and ``rescue.py``.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service import datasets
from service.db.engine import Database
from service.ids import is_dataset_id
from service.settings import Settings
from worker.files.work_dirs import remove_folder


def uploads_folder(data_dir: Path) -> Path:
    """Where the folders of all data sets lie."""
    return data_dir / "datasets"


def fetch(database: Database, settings: Settings, spec: dict[str, Any], work: Path) -> None:
    """Put the data set that ``spec`` names where a trainer in ``work`` finds it; nothing to do where it names none.

    Raises DatasetNotFoundError; OSError, also for a file that did not arrive as it was stored.
    """
    dataset_id = datasets.dataset_named_in(spec)
    if dataset_id is None:
        return
    folder = uploads_folder(settings.data_dir) / dataset_id
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent):
        if not folder.is_dir():
            _fetch(database, dataset_id, folder)
    link = work / "uploads" / dataset_id
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(folder, target_is_directory=True)


def _fetch(database: Database, dataset_id: str, folder: Path) -> None:
    with database.read() as session:
        row = datasets.get(session, dataset_id)
    unfinished = folder.with_name(f".{dataset_id}.{secrets.token_hex(4)}")
    unfinished.mkdir()
    try:
        for split, about in row.splits.items():
            _write(database, row.number, split, unfinished / f"{split}.jsonl.gz", about["sha256"])
        os.rename(unfinished, folder)
    finally:
        remove_folder(unfinished)


def remove_unused(database: Database, settings: Settings) -> None:
    """Remove what no job that has not ended reads, and what a worker that died was fetching for one that has."""
    root = uploads_folder(settings.data_dir)
    if not root.is_dir():
        return
    with _locked(root):
        with database.read() as session:
            needed = datasets.ids_in_use(session)
        for folder in root.iterdir():
            dataset_id = folder.name.strip(".").partition(".")[0]
            if is_dataset_id(dataset_id) and dataset_id not in needed:
                remove_folder(folder)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Whoever fetches runs a job that is in the table as running: no sweep that comes later removes what it needs."""
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(database: Database, number: int, split: str, path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in datasets.iter_split(database, number, split):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != sha256:
        raise OSError(f"split {split} of an uploaded data set arrived damaged")
