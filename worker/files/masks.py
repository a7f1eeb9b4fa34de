"""The mask of a finished job, brought from the store to the folder of a run that exports it. Called by ``supervise.py``."""

import hashlib
from pathlib import Path

from service.artifacts import store
from service.db.engine import Database
from service.errors import ArtifactNotFoundError
from worker.run.outcome import MASK

_WEIGHTS = "weights.safetensors"
"""What a method trained beside its mask; there is none for most."""


def fetch(database: Database, job_id: str, work: Path) -> Path:
    """Put the mask of ``job_id``, and the weights that belong to it, into the folder ``work``; the path of the mask.

    Raises ArtifactNotFoundError, StorageUnavailableError; OSError, also for a file that did not arrive as it was stored.
    """
    with database.read() as session:
        stored = {artifact.name: artifact for artifact in store.list_for_job(session, job_id)}
    if MASK not in stored:
        raise ArtifactNotFoundError(f"Job {job_id} has no artifact {MASK}; its mask cannot be exported.")
    for name in (MASK, _WEIGHTS):
        if name in stored:
            _write(database, stored[name].id, work / name, stored[name].sha256)
    return work / MASK


def _write(database: Database, artifact_id: int, path: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in store.iter_bytes(database, artifact_id):
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != sha256:
        raise OSError(f"{path.name} arrived damaged")
