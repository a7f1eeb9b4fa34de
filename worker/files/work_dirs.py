"""Attempt folders: layout, preparation and removal of a job's files on this host's disk.

    work/<job>/attempt-2/               spec.json, uploads/, artifacts/: of one attempt, removed when it is over
    work/<job>/attempt-2/checkpoints →  work/<job>/checkpoints, or the job's folder under ESPALIER_CHECKPOINT_DIR

under the data directory. Each attempt has a folder of its own: a trainer whose supervisor is frozen continues to write for a
while after another worker took the job. Only checkpoints are shared; they are written under a temporary name and renamed, and
those of the same step hold the same bytes. Called by ``worker.run.preparation``, ``worker.run.supervisor`` and
``worker.maintenance.garbage_collector``.
"""

import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

from pruning.processes.child import ChildProcess
from pruning.spec.fields import LATER
from service.jobs.fence import Fence
from service.settings import Settings
from service.states import JobKind
from worker.files.trainer_access import let_pass, let_write

MASK = "mask.safetensors"
WEIGHTS = "weights.safetensors"
"""File of the weights that a method trained in addition to the mask; most methods have none."""
REQUIRED_ARTIFACTS = {JobKind.PRUNING: MASK, JobKind.EXPORT: "exports.json", JobKind.EVALUATION: "evaluation.json"}
"""Artifact that a job of each kind must produce."""
_REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)"
_REMOVAL_SECONDS = 60.0
log = logging.getLogger(__name__)


def work_folder(data_dir: Path, job_id: str) -> Path:
    """Folder of a job on this host."""
    return data_dir / "work" / job_id


def attempt_folder(data_dir: Path, fence: Fence) -> Path:
    """Folder of one attempt, with its spec and its artifacts."""
    return work_folder(data_dir, fence.job_id) / f"attempt-{fence.attempt}"


def checkpoint_folder(settings: Settings, job_id: str) -> Path:
    """Checkpoint folder of all attempts of a job, on every host that shares the folder."""
    if settings.checkpoint_dir is None:
        return work_folder(settings.data_dir, job_id) / "checkpoints"
    return settings.checkpoint_dir / job_id


def link_upload(work: Path, folder: Path) -> None:
    """Let a trainer in ``work`` find an upload's ``folder`` by its id, which is its name."""
    link = work / "uploads" / folder.name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(folder, target_is_directory=True)


def prepare(settings: Settings, fence: Fence, spec: dict[str, Any]) -> tuple[Path, OSError | None]:
    """Create the attempt's folder: the path of its spec, and why checkpoints must stay on this host, if they must.

    Raises OSError.
    """
    folder = attempt_folder(settings.data_dir, fence)
    for earlier in folder.parent.glob("attempt-*"):  # left by a worker that was killed
        remove_folder(earlier, settings.trainer_ids)
    folder.mkdir(parents=True)
    let_pass(folder.parent, settings)
    let_write(folder, settings)
    checkpoints, failure = checkpoint_folder(settings, fence.job_id), None
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
        let_write(checkpoints, settings)
    except OSError as error:  # without a shared folder the job restarts from the first step instead of failing
        checkpoints, failure = folder.parent / "checkpoints", error
        checkpoints.mkdir(exist_ok=True)
        let_write(checkpoints, settings)
    (folder / "checkpoints").symlink_to(checkpoints, target_is_directory=True)
    path = folder / "spec.json"
    # specs are stored resolved: one without a later field is older, and its run stays what it was when it was submitted
    path.write_text(json.dumps({**LATER, **spec}, indent=2) + "\n")
    return path, failure


def remove_job_files(settings: Settings, job_id: str) -> None:
    """Remove all files of a job that has ended."""
    remove_folder(work_folder(settings.data_dir, job_id), settings.trainer_ids)
    remove_folder(checkpoint_folder(settings, job_id), settings.trainer_ids)


def remove_folder(folder: Path, user: tuple[int, int] | None = None) -> None:
    """Remove a folder that is no longer needed; its absence is not an error, a failure only a warning.

    Files of a trainer of another ``user`` that this worker cannot remove are removed by a process of that user.
    """
    try:
        try:
            shutil.rmtree(folder)
        except PermissionError:
            if user is None:
                raise
            with ChildProcess([sys.executable, "-I", "-S", "-c", _REMOVE, str(folder)], {}, user=user) as child:
                child.wait(_REMOVAL_SECONDS)
            shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:  # the job has ended nevertheless; the garbage collector tries again
        log.warning("%s could not be removed: %s", folder, error)
