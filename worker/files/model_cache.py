"""Uploaded models for trainers: kept in a cache that the jobs of this host share, linked from the folder of each attempt.

    models/<id>/config.json …                       under the data directory
    work/<job>/attempt-2/uploads/<id> → that        where the trainer looks first

Called by ``worker.run.preparation``, and by ``worker.maintenance.garbage_collector`` when a limit was lowered. The cache is
``service.model_cache``; a model that a running job reads stays in it: its job was claimed before its files were requested.
"""

from functools import partial
from pathlib import Path
from typing import Any

from pruning.files import CorruptDownloadError, write_verified
from service import model_cache, uploaded_models
from service.db.engine import Database
from service.settings import Settings
from worker.files.trainer_access import let_pass
from worker.files.work_dirs import link_upload


def models_folder(data_dir: Path) -> Path:
    """Folder of all uploaded models."""
    return data_dir / "models"


def fetch_models(database: Database, settings: Settings, spec: dict[str, Any], work: Path) -> None:
    """Put the uploaded models that ``spec`` names where a trainer in ``work`` finds them; nothing to do where it names none.

    Raises the exceptions of :func:`service.model_cache.fetch_model`.
    """
    root, needed = models_folder(settings.data_dir), partial(_of_running_jobs, database)
    for model_id in sorted(uploaded_models.models_named_in(spec)):
        root.mkdir(parents=True, exist_ok=True)
        let_pass(root, settings)
        try:
            folder = model_cache.fetch_model(database, root, model_id, settings.model_cache_bytes, write_verified, needed)
        except CorruptDownloadError as error:
            raise CorruptDownloadError(f"{error} from uploaded model {model_id}") from error
        link_upload(work, folder)


def evict(database: Database, settings: Settings) -> None:
    """Remove what the cache holds above its limit, and partial downloads of a worker that was killed."""
    needed = partial(_of_running_jobs, database)
    model_cache.evict(models_folder(settings.data_dir), settings.model_cache_bytes, needed)


def _of_running_jobs(database: Database) -> set[str]:
    with database.read() as session:
        return uploaded_models.ids_of_running(session)
