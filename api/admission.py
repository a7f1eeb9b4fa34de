"""What can be known of a job before it is accepted, beyond the spec's own rules: does its local model and data fit?

Called by ``api.routes.jobs.create_job``. Raises ``pruning.errors.Permanent`` with the codes and fields of the trainer,
which repeats these checks and knows the rest (whatever is on the hub).
"""

from api.schemas import JobRequest
from jobs.settings import Settings
from pruning.errors import Permanent
from pruning.folder import check_folder, find_folder, require_folder
from pruning.rows import check_rows, dataset_folder_name
from pruning.spec import PruningSpec


def check(request: JobRequest, settings: Settings) -> None:
    """Refuse what is sure to fail. Raises Permanent naming the field."""
    spec = request.spec
    _check_model(spec, settings, words_given="label_words" in request.model_fields_set)
    _check_dataset(spec, settings)


def _check_model(spec: PruningSpec, settings: Settings, *, words_given: bool) -> None:
    find = find_folder if settings.hub_enabled else require_folder
    folder = find(settings.models_dir, spec.model)
    if folder is None:
        return
    try:
        check_folder(folder, spec.label_words, spec.head)
    except Permanent as refusal:
        from_task = not isinstance(spec.task, str) and not words_given
        if from_task and refusal.param is not None and refusal.param.startswith("label_words"):
            refusal.param = f"task.{refusal.param}"
        raise


def _check_dataset(spec: PruningSpec, settings: Settings) -> None:
    name = dataset_folder_name(spec.task)
    if settings.hub_enabled:
        folder = find_folder(settings.datasets_dir, name)
    else:
        param = "task" if isinstance(spec.task, str) else "task.dataset"
        folder = require_folder(settings.datasets_dir, name, kind="dataset", param=param)
    if folder is not None:
        check_rows(folder, spec.task)
