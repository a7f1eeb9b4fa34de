"""Inputs of a trainer: uploaded data sets and the mask of a finished job, fetched to this host's disk.

    datasets/<id>/<split>.jsonl.gz                  under the data directory, shared by all jobs of this host
    work/<job>/attempt-2/uploads/<id> → that        where the trainer looks first
    work/<job>/attempt-2/mask.safetensors           of the job whose mask is exported or evaluated
    work/<job>/attempt-2/uploads/<id>/mask.safetensors   of the job, or the upload, that a job starts from

A data set's id identifies its content, so an existing folder is correct. Called by ``worker.run.preparation``, and by
``worker.maintenance.garbage_collector`` to remove data sets that no job reads.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pruning.files import CorruptDownloadError, write_verified
from service import datasets, uploaded_masks
from service.artifacts import store
from service.db.engine import Database
from service.errors import ArtifactNotFoundError, StartMaskNotFoundError, UploadedMaskNotFoundError
from service.folder_cache import cached_folder, host_lock
from service.ids import is_dataset_id, is_mask_id
from service.settings import Settings
from worker.files.trainer_access import let_pass
from worker.files.work_dirs import MASK, WEIGHTS, link_upload, remove_folder


def datasets_folder(data_dir: Path) -> Path:
    """Folder of all uploaded data sets."""
    return data_dir / "datasets"


def fetch_dataset(database: Database, settings: Settings, spec: dict[str, Any], work: Path) -> None:
    """Put the data set that ``spec`` names where a trainer in ``work`` finds it; nothing to do where it names none.

    Raises DatasetNotFoundError; OSError, also for a file that did not arrive as it was stored.
    """
    dataset_id = datasets.dataset_named_in(spec)
    if dataset_id is None:
        return
    root = datasets_folder(settings.data_dir)
    root.mkdir(parents=True, exist_ok=True)
    let_pass(root, settings)
    link_upload(work, cached_folder(root, dataset_id, partial(_download_dataset, database, dataset_id)))


def _download_dataset(database: Database, dataset_id: str, folder: Path) -> None:
    with database.read() as session:
        row = datasets.get(session, dataset_id)
    for split, info in row.splits.items():
        chunks = datasets.iter_split(database, row.number, split)
        try:
            write_verified(chunks, folder / f"{split}.jsonl.gz", sha256=info["sha256"])
        except CorruptDownloadError as error:
            raise CorruptDownloadError(f"split {split} of an uploaded data set arrived damaged") from error


def fetch_start(database: Database, spec: dict[str, Any], work: Path) -> None:
    """Put the mask that ``spec`` starts from where a trainer in ``work`` finds it; nothing to do where it starts from none.

    Raises StartMaskNotFoundError, StorageUnavailableError; OSError, also for a file that did not arrive as it was stored.
    """
    start = spec.get("init_from")
    if start is None:
        return
    folder = work / "uploads" / start
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if is_mask_id(start):
            _fetch_uploaded_mask(database, start, folder / MASK)
        else:
            fetch_mask(database, start, folder, names=(MASK,))
    except (ArtifactNotFoundError, UploadedMaskNotFoundError) as missing:
        raise StartMaskNotFoundError(start) from missing


def _fetch_uploaded_mask(database: Database, mask_id: str, target: Path) -> None:
    with database.read() as session:
        row = uploaded_masks.get(session, mask_id)
    write_verified(uploaded_masks.iter_bytes(database, row), target, sha256=row.sha256, size=row.size)


def fetch_mask(database: Database, job_id: str, work: Path, names: Sequence[str] = (MASK, WEIGHTS)) -> Path:
    """Put the mask of ``job_id``, and the weights that belong to it, into the folder ``work``; the path of the mask.

    Raises ArtifactNotFoundError, StorageUnavailableError; OSError, also for a file that did not arrive as it was stored.
    """
    with database.read() as session:
        stored = {artifact.name: artifact for artifact in store.list_for_job(session, job_id)}
    if MASK not in stored:
        raise ArtifactNotFoundError(f"Job {job_id} has no artifact {MASK}; there is no mask to use.")
    for name in names:
        if name in stored:
            chunks = store.iter_bytes(database, stored[name].id)
            write_verified(chunks, work / name, sha256=stored[name].sha256, size=stored[name].size)
    return work / MASK


def remove_unused_datasets(database: Database, settings: Settings) -> None:
    """Remove data sets that no unfinished job reads, and partial downloads of a worker that was killed."""
    root = datasets_folder(settings.data_dir)
    if not root.is_dir():
        return
    with host_lock(root):
        with database.read() as session:
            needed = datasets.ids_in_use(session)
        for folder in root.iterdir():
            dataset_id = folder.name.strip(".").partition(".")[0]
            if is_dataset_id(dataset_id) and dataset_id not in needed:
                remove_folder(folder)
