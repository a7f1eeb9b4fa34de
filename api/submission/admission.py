"""What can be known of a job before it is accepted, beyond the spec's own rules: does its local model and data fit?

Called by ``api.routes.jobs.create_job``. Raises ``pruning.errors.PermanentError`` with the codes and fields of the trainer,
which repeats these checks and knows the rest (whatever is on the hub).
"""

from sqlalchemy.orm import Session

from api.schemas.jobs import JobRequest
from api.submission import webhook_checks
from api.uploads.normalize import columns_of
from pruning.data.jsonl import check_dataset, dataset_folder_name
from pruning.data.profile import check_columns
from pruning.errors import PermanentError
from pruning.hub.local import find_folder, require_folder
from pruning.models.checks import check_model_folder, read_model_type
from pruning.spec.export_formats import unsupported_by_model_type
from pruning.spec.schema import PruningSpec
from service import datasets
from service.errors import DatasetNotFoundError
from service.ids import is_dataset_id
from service.settings import Settings


def check_job(request: JobRequest, settings: Settings) -> None:
    """Refuse what is sure to fail. Raises PermanentError naming the field."""
    spec = request.spec
    _check_model(spec, settings, words_given="label_words" in request.model_fields_set)
    _check_dataset(spec, settings)
    _check_exports(request, settings)
    if request.webhook is not None:
        webhook_checks.check_webhook(request.webhook, settings, param="webhook.url")


def _check_exports(request: JobRequest, settings: Settings) -> None:
    folder = find_folder(settings.models_dir, request.model)
    misfit = unsupported_by_model_type(request.exports, read_model_type(folder)) if folder is not None else None
    if misfit is not None:
        raise PermanentError(misfit.message, code="export_unsupported", param=f"exports.{misfit.index}")


def _check_model(spec: PruningSpec, settings: Settings, *, words_given: bool) -> None:
    find = find_folder if settings.hub_enabled else require_folder
    folder = find(settings.models_dir, spec.model)
    if folder is None:
        return
    try:
        check_model_folder(folder, spec.label_words, spec.head)
    except PermanentError as refusal:
        from_task = not isinstance(spec.task, str) and not words_given
        if from_task and refusal.param is not None and refusal.param.startswith("label_words"):
            refusal.param = f"task.{refusal.param}"
        raise


def hold_dataset(session: Session, spec: PruningSpec, owner: str) -> None:
    """Refuse a task that an uploaded data set does not fit, and keep the data set until the job that needs it is stored.

    To be called in the transaction that adds the job; does nothing for other tasks. Raises PermanentError naming the field.
    """
    task = spec.task
    if isinstance(task, str) or not is_dataset_id(task.dataset):
        return
    try:
        row = datasets.lock_for_reader(session, task.dataset, owner=owner)
    except DatasetNotFoundError as missing:
        raise PermanentError(str(missing), code="dataset_not_found", param="task.dataset") from missing
    check_columns(task, {name: columns_of(split) for name, split in row.splits.items()})


def _check_dataset(spec: PruningSpec, settings: Settings) -> None:
    name = dataset_folder_name(spec.task)
    if is_dataset_id(name):  # it lies in the database: hold_dataset
        return
    if settings.hub_enabled:
        folder = find_folder(settings.datasets_dir, name)
    else:
        param = "task" if isinstance(spec.task, str) else "task.dataset"
        folder = require_folder(settings.datasets_dir, name, kind="dataset", param=param)
    if folder is not None:
        check_dataset(folder, spec.task)
