"""Admission checks: what can be known of a job before it is accepted, beyond the rules of its spec; webhooks stored with it.

Called by the routes that submit jobs and create webhooks. Refusals are ``pruning.errors.PermanentError`` with the codes and fields
of the trainer, which repeats these checks and makes those that need the hub.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from api.errors.exceptions import TooManyRequestsError
from api.schemas.job_request import JobRequest
from api.schemas.webhooks import WebhookRequest
from api.submission.export_checks import check_formats, hub_model_type
from api.submission.start_jobs import check_start_job, lock_start
from api.submission.uploaded_models import check_uploaded, lock_models, sketch_of
from api.uploads.isolation import columns_of
from api.uploads.model_check import ModelUse, check_use
from pruning.data.column_checks import check_columns
from pruning.data.jsonl import dataset_folder_name
from pruning.data.local_check import check_dataset
from pruning.data.step_count import check_step_count
from pruning.errors import PermanentError
from pruning.hub.local import find_folder, is_one_slip, require_folder, similar_name
from pruning.hub.lookup import HubModel, find_on_hub
from pruning.masking.layer_sparsity import Shapes, layer_sparsity
from pruning.models.checks import check_listing, read_model_type
from pruning.models.masked_shapes import masked_shapes
from pruning.spec.schema import PruningSpec
from pruning.spec.verbalizer import first_words
from service import datasets
from service.db import models
from service.db.engine import Database
from service.errors import DatasetNotFoundError, DestinationRefusedError, TooManyLookupsError
from service.ids import is_dataset_id, is_model_id
from service.settings import Settings
from service.webhooks import subscriptions
from service.webhooks.ssrf import UrlPolicy, resolve_checked

_LOOKUP_RETRY_SECONDS = 5


def check_job(request: JobRequest, settings: Settings, database: Database, owner: str) -> float | None:
    """Refuse a job of ``owner`` that cannot succeed. Raises PermanentError naming the field, TooManyRequestsError.

    Returns the share of the training split that is held out for validation, as far as the folders of the service say.
    """
    spec = request.spec
    check_start_job(database, spec, owner)
    folders = {
        name: sketch_of(database, name, owner, param)
        for param, name in (("model", spec.model), ("teacher", spec.teacher))
        if name is not None and is_model_id(name)
    }
    _check_model(spec, settings, folders.get(spec.model), words_given="label_words" in request.model_fields_set)
    if spec.sparsity_by:
        check_layer_sparsity(spec, local_matrices(spec, settings, database, owner))
    _check_teacher(spec, settings, folders.get(spec.teacher or ""))
    validation_share = _check_dataset(spec, settings)
    _check_exports(request, settings, folders.get(spec.model) or find_folder(settings.models_dir, request.model))
    if request.webhook is not None:
        check_webhook(request.webhook, settings, owner, param="webhook.url")
    return validation_share


def local_matrices(spec: PruningSpec, settings: Settings, database: Database, owner: str) -> Shapes | None:
    """Masked matrices of the model, where it is uploaded or in the models directory; None where only the trainer will know them.

    Call :func:`check_job` first.
    """
    is_own = is_model_id(spec.model)
    folder = sketch_of(database, spec.model, owner) if is_own else find_folder(settings.models_dir, spec.model)
    return masked_shapes(folder) if folder is not None else None


def check_layer_sparsity(spec: PruningSpec, matrices: Shapes | None) -> None:
    """Refuse patterns of ``sparsity_by`` that fit no matrix, and densities that the others cannot make up for.

    Does nothing where the matrices are not known. Raises PermanentError naming the field.
    """
    if matrices is not None:
        layer_sparsity(spec, matrices)


def _check_exports(request: JobRequest, settings: Settings, folder: Path | None) -> None:
    spec = request.spec.model_dump(include={"model", "revision", "pattern", "pooling"})
    model_type = read_model_type(folder) if folder is not None else hub_model_type(request.exports, spec, settings)
    check_formats(request.exports, spec, model_type, "exports")


def _check_model(spec: PruningSpec, settings: Settings, uploaded: Path | None, *, words_given: bool) -> None:
    find = find_folder if settings.hub_enabled else require_folder
    folder = uploaded or find(settings.models_dir, spec.model)
    if uploaded is not None and spec.revision is not None:
        raise PermanentError("an uploaded model has no revisions; leave revision out", code="revision_not_found", param="revision")
    if folder is None:
        _check_on_hub(spec.model, spec.revision, settings)
        return
    classifies = spec.head in ("classifier", "token-classifier")  # tags may still have to be found
    use = ModelUse(
        spec.head,
        tuple(spec.label_words),
        spec.template,
        len(spec.task_info.text),
        spec.max_length,
        class_names=_class_names(spec) if classifies and _class_names(spec) else None,
        classes=spec.task_info.classes,
        pieces=spec.label_word_pieces,
        pooling=spec.pooling,
    )
    try:
        _check_use(spec.model, folder, use, settings)
    except PermanentError as refusal:
        from_task = not isinstance(spec.task, str) and not words_given
        if from_task and refusal.param is not None and refusal.param.startswith("label_words"):
            refusal.param = f"task.{refusal.param}"
        raise


def _check_on_hub(name: str, revision: str | None, settings: Settings, param: str = "model") -> None:
    """Refuse a name that is like a local model's and that the hub does not have, or not in a form that can be pruned.

    Where the hub does not answer at once, a name with one slip is refused and any other left to the trainer. Names with an
    organisation are, too: the hub does not reveal which of them exist. The trainer refuses the same forms before it
    downloads any weights.
    """
    meant = similar_name(settings.models_dir, name)
    if meant is None or "/" in name:
        return
    known = find_on_hub(name, revision)
    if isinstance(known, HubModel):
        try:
            check_listing(known.files, known.config, name)
        except PermanentError as refusal:
            raise PermanentError(refusal.message, code=refusal.code, param=param) from refusal
        return
    if known is False or (known is None and is_one_slip(name, meant)):
        where = "the hub has none" if known is False else "the hub does not answer"
        raise PermanentError(
            f'there is no model {name!r} in the models directory, and {where}; did you mean "{meant}"?',
            code="model_not_found",
            param=param,
        )


def _check_teacher(spec: PruningSpec, settings: Settings, uploaded: Path | None) -> None:
    if spec.teacher is None:
        return
    folder = uploaded or find_folder(settings.models_dir, spec.teacher)
    if folder is None:
        if not settings.hub_enabled:
            require_folder(settings.models_dir, spec.teacher, param="teacher")
        _check_on_hub(spec.teacher, None, settings, "teacher")
        return
    span = spec.task_info.kind == "span"
    use = ModelUse(
        "teacher-span" if span else "classifier",
        class_names=None if span else _class_names(spec),
        classes=spec.task_info.classes,
        given_names=None if spec.teacher_labels is None else tuple(spec.teacher_labels),
        param="teacher",
    )
    try:
        _check_use(spec.teacher, folder, use, settings)
    except PermanentError as refusal:
        raise PermanentError(refusal.message, code=refusal.code, param="teacher") from refusal


def _check_use(name: str, folder: Path, use: ModelUse, settings: Settings) -> None:
    """An operator's folder is read here, a user's files by a process that has nothing."""
    if is_model_id(name):
        check_uploaded(name, settings.upload_memory_bytes, folder, use)
    else:
        check_use(folder, use)


def _class_names(spec: PruningSpec) -> tuple[str, ...]:
    return spec.task_info.labels or first_words(spec.label_words)


@dataclass(frozen=True)
class LockedDataset:
    """What an uploaded data set says of a job; nothing of any other data set."""

    train_rows: int | None = None
    """Of its training split."""
    validation_share: float | None = None
    """Share of the training split that is held out for validation."""


def lock_uploads(session: Session, spec: PruningSpec, owner: str) -> LockedDataset:
    """Refuse a task that its uploaded data set does not fit, and lock the data set, models and mask until the job is stored.

    Called in the transaction that adds the job; does nothing for others. Raises PermanentError naming the field.
    """
    lock_models(session, spec, owner)
    lock_start(session, spec, owner)
    task = spec.task
    if isinstance(task, str) or not is_dataset_id(task.dataset):
        return LockedDataset()
    try:
        row = datasets.lock_for_reader(session, task.dataset, owner=owner)
    except DatasetNotFoundError as missing:
        raise PermanentError(str(missing), code="dataset_not_found", param="task.dataset") from missing
    splits = {name: columns_of(split) for name, split in row.splits.items()}
    share = check_columns(task, splits, spec.validation_share, spec.bad_rows_limit)
    rows: int | None = row.splits.get(task.train_split, {}).get("rows")
    check_step_count(spec.holding_out(share), rows)
    return LockedDataset(rows, share)


def _check_dataset(spec: PruningSpec, settings: Settings) -> float | None:
    name = dataset_folder_name(spec.task)
    if is_dataset_id(name):  # its rows are in the database: lock_uploads checks it
        return None
    if settings.hub_enabled:
        folder = find_folder(settings.datasets_dir, name)
    else:
        param = "task" if isinstance(spec.task, str) else "task.dataset"
        folder = require_folder(settings.datasets_dir, name, kind="dataset", param=param)
    if folder is not None:
        task = spec.task_info
        rows = dict.fromkeys(task.validation_splits, spec.validation_rows) | {task.train_split: spec.train_rows}
        return check_dataset(folder, spec.task, rows, spec.validation_share, spec.bad_rows_limit)
    check_step_count(spec)
    return None


def check_webhook(request: WebhookRequest, settings: Settings, owner: str, *, param: str) -> None:
    """Refuse a URL that no message may be sent to; resolves its host, in the share of ``owner``.

    Raises PermanentError naming ``param``, TooManyRequestsError while too many names of the owner are being looked up.
    """
    policy = UrlPolicy(allow_private=settings.webhook_allow_private, allow_http=settings.webhook_allow_http)
    try:
        resolve_checked(request.url, policy, owner)
    except TooManyLookupsError as refusal:
        raise TooManyRequestsError("too_many_requests", str(refusal), retry_after=_LOOKUP_RETRY_SECONDS) from refusal
    except DestinationRefusedError as refusal:
        raise PermanentError(str(refusal), code="webhook_refused", param=param) from refusal


def store_webhook(
    session: Session, settings: Settings, request: WebhookRequest, *, owner: str, job_id: str | None = None
) -> tuple[models.Webhook, str | None]:
    """Store a webhook that :func:`check_webhook` passed. Second: its secret if that is a new one, which is shown this once."""
    new_secret = None if request.secret else subscriptions.new_secret()
    row = subscriptions.create(
        session,
        settings,
        owner=owner,
        url=request.url,
        events=request.events,
        secret=request.secret or new_secret or "",
        job_id=job_id,
    )
    return row, new_secret
