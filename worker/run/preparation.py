"""Preparation of an attempt: its folder, the inputs of the trainer, its command line and its environment.

Called by ``worker.run.supervisor`` before the trainer starts.
"""

import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from service import failpoints
from service.errors import DatasetNotFoundError
from service.settings import Settings
from service.states import JobKind
from worker.context import Context
from worker.files import inputs, model_cache, work_dirs
from worker.run.claimed_job import ClaimedJob
from worker.run.environment import trainer_environment
from worker.run.event_recorder import EventRecorder
from worker.run.hub_token import isolate_hub_cache, load_hub_token, write_token
from worker.run.process import evaluation_command, export_command, trainer_command
from worker.run.trainer_user import as_trainer_user


@dataclass(frozen=True)
class PreparedAttempt:
    """Command line and environment of the trainer, once all its inputs are in place."""

    command: list[str]
    environment: dict[str, str]


def prepare(claimed: ClaimedJob, context: Context, recorder: EventRecorder) -> PreparedAttempt:
    """Put everything the trainer reads into the attempt's folder.

    Raises DatasetNotFoundError, UploadedModelNotFoundError, ArtifactNotFoundError, StartMaskNotFoundError,
    StorageUnavailableError, SecretsUnavailableError, LeaseLostError, OSError.
    """
    settings, with_retry, work = context.settings, recorder.writer.with_retry, recorder.work
    spec, unshared = work_dirs.prepare(settings, claimed.fence, claimed.spec)
    with_retry(lambda: model_cache.fetch_models(context.database, settings, claimed.spec, work))
    # deleted since the mask was trained: random rows serve to compare exports
    with suppress(DatasetNotFoundError) if claimed.kind is JobKind.EXPORT else nullcontext():
        with_retry(lambda: inputs.fetch_dataset(context.database, settings, claimed.spec, work))
    mask = None
    if claimed.kind is JobKind.PRUNING:
        with_retry(lambda: inputs.fetch_start(context.database, claimed.spec, work))
    if (mask_of := claimed.mask_of) is not None:
        mask = with_retry(lambda: inputs.fetch_mask(context.database, mask_of, work))
        unshared = None  # it writes no checkpoints
    failpoints.hit(failpoints.Failpoint.WORK_PREPARED)
    if unshared is not None:
        recorder.record_event("log", {"level": "warning", "message": f"checkpoints stay on this host: {unshared}"})
    token_file = _write_token_file(claimed, context, recorder)
    visible = context.devices.visible(claimed.devices)
    environment = as_trainer_user(trainer_environment(os.environ, _threads(context), visible, settings.trainer_variables), settings)
    return PreparedAttempt(
        _command(claimed, settings, spec, mask, work, token_file),
        isolate_hub_cache(environment, context, claimed.owner, has_token=token_file is not None),
    )


def _command(
    claimed: ClaimedJob, settings: Settings, spec: Path, mask: Path | None, work: Path, token_file: Path | None
) -> list[str]:
    if mask is None:
        return trainer_command(settings, spec, work, token_file, claimed.exports)
    if claimed.evaluation is None:
        return export_command(settings, mask, work, token_file, claimed.exports)
    return evaluation_command(settings, mask, claimed.evaluation, work, token_file)


def _write_token_file(claimed: ClaimedJob, context: Context, recorder: EventRecorder) -> Path | None:
    """The owner's hub token where the trainer finds it, if they have set one. Raises SecretsUnavailableError, OSError."""
    token = recorder.writer.with_retry(lambda: load_hub_token(context, claimed.owner))
    if token is None:
        return None
    recorder.redact.hide(token)
    return write_token(recorder.work, token, mode=0o600 if context.settings.trainer_ids is None else 0o640)


def _threads(context: Context) -> int:
    """Arithmetic threads of one trainer: its share of the cores, of which a container may use fewer than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return context.settings.trainer_threads or max(1, cores // context.settings.worker_slots)
