"""One run of one job: start the trainer, listen to it, stop it when there is a reason to, write down how it ended.

Called by ``tasks.py`` in a thread that does nothing else until the trainer is gone. Two promises: whatever happens here,
no trainer is left behind; and once the lease is lost, nothing more is written.
"""

import errno
import logging
import os
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from pruning.events import ExitCode
from service import failpoints
from service.access.quotas import Quota
from service.db.models import Job
from service.errors import (
    ArtifactNotFoundError,
    DatasetNotFoundError,
    LeaseLostError,
    QuotaExceededError,
    SecretsUnavailableError,
    StorageUnavailableError,
)
from service.jobs.fence import Fence
from service.states import TERMINAL
from worker.context import Context
from worker.files import inputs, masks, work_dirs
from worker.json_logging import log_context
from worker.run.checkpoint_sync import forget, synchronized_checkpoints
from worker.run.environment import trainer_environment
from worker.run.event_recorder import EventRecorder, InvalidArtifactError
from worker.run.fenced_writer import FencedWriter
from worker.run.hub_token import isolate_hub_cache, load_hub_token, write_token
from worker.run.lease import Lease
from worker.run.monitor import Limits, monitor
from worker.run.outcome import Failed, Outcome, ProcessExit, classify
from worker.run.process import TrainerProcess, export_command, trainer_command
from worker.run.verdict import write_verdict

_LAST_LINES = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClaimedJob:
    """What is needed of a claimed job once its transaction is over."""

    fence: Fence
    owner: str
    spec: dict[str, Any]
    max_duration: float | None
    exports: tuple[str, ...]
    """Formats that the trainer makes of the mask at the end, or an exporting job of one that is there."""
    export_of: str | None
    """The job whose mask it exports; None where it prunes."""
    reached: int
    """Steps that earlier attempts had completed."""
    since: float
    """``time.monotonic()`` before the claim."""
    devices: tuple[str, ...] = ()
    """The worker's devices that are taken for it until its supervision ends."""

    @classmethod
    def from_row(cls, job: Job, since: float) -> "ClaimedJob":
        """From the row."""
        return cls(
            Fence.from_row(job), job.owner, job.spec, job.max_duration, tuple(job.exports or ()), job.export_of, job.step,
            since,
        )  # fmt: skip


def supervise(claimed: ClaimedJob, context: Context, command: Sequence[str] | None = None) -> Outcome | Failed:
    """Run the job to the end of this attempt, and give its devices back. ``command`` takes the place of the trainer's
    command line.

    Raises the database's own error when it stays away for a whole lease; the rescuer then brings the job back.
    """
    try:
        return _run(claimed, context, command)
    finally:
        with context.devices_lock:
            context.devices.release(claimed.devices)


def _run(claimed: ClaimedJob, context: Context, command: Sequence[str] | None) -> Outcome | Failed:
    settings = context.settings
    work = work_dirs.attempt_folder(settings.data_dir, claimed.fence)
    with (
        log_context(job=claimed.fence.job_id, attempt=claimed.fence.attempt),
        Lease(
            context.database, claimed.fence, since=claimed.since,
            lease_seconds=settings.lease_seconds, heartbeat_seconds=settings.heartbeat_seconds,
        ) as lease,
    ):  # fmt: skip
        ledger = FencedWriter(context.database, lease)
        reporter = EventRecorder(
            ledger, work, chunk_bytes=settings.chunk_bytes, tail_bytes=settings.log_tail_bytes, reached=claimed.reached,
            storage_url=settings.storage_url, quota=Quota.from_settings(settings),
        )  # fmt: skip

        def finish(session: Session) -> Job:
            job = write_verdict(session, verdict, ledger.fence, reporter, settings)
            failpoints.hit(failpoints.Failpoint.FINISH_WRITTEN)
            return job

        try:
            verdict = _attempt(claimed, context, reporter, command)
            if verdict is Outcome.ABANDONED:
                raise claimed.fence.lost()
            reporter.close()
            job = ledger.write(finish)
            failpoints.hit(failpoints.Failpoint.FINISH_COMMITTED)
        except LeaseLostError:
            log.warning("the job belongs to another worker by now; nothing more is written")
            return Outcome.ABANDONED
        finally:
            work_dirs.remove_folder(work)
        log.info("the run ended (%s), the job is %s", _name(verdict), job.status)
    if job.status in TERMINAL:
        work_dirs.remove_job_files(settings, claimed.fence.job_id)
        forget(settings, claimed.fence.job_id)
    return verdict


def _attempt(
    claimed: ClaimedJob, context: Context, reporter: EventRecorder, command: Sequence[str] | None
) -> Outcome | Failed:
    """From the work folder to the verdict; every reason for which a trainer cannot do its work is one."""
    settings = context.settings
    limits = Limits(
        stall_seconds=settings.stall_seconds,
        duration_seconds=claimed.max_duration or settings.max_duration_seconds,
        grace_seconds=settings.term_grace_seconds,
    )
    threads = settings.trainer_threads or max(1, _cores() // settings.worker_slots)
    try:
        ready = _prepare(claimed, context, reporter)
        command = command or ready.command
        environment = trainer_environment(os.environ, threads, context.devices.visible(claimed.devices))
        environment = isolate_hub_cache(environment, context, claimed.owner, has_token=ready.has_token)
        with (
            nullcontext() if claimed.export_of else synchronized_checkpoints(settings, reporter, context.stopping),
            TrainerProcess(command, environment, settings.trainer_nice) as trainer,
        ):
            log.info("trainer %d started", trainer.pid)
            failpoints.hit(failpoints.Failpoint.TRAINER_STARTED)
            lease = reporter.writer.lease
            lease.on_renewal = trainer.extend_deadline
            trainer.extend_deadline(lease.until)
            returncode, stop = monitor(trainer, reporter, limits, context.stopping)
        reporter.flush()
        if reporter.finished is not None and returncode != ExitCode.OK:
            reporter.record_event(
                "log", {"level": "warning", "message": f"the trainer ended badly ({returncode}) after its work"}
            )
    except DatasetNotFoundError as missing:
        return Failed("dataset_not_found", str(missing), kind="user", param="task.dataset")
    except ArtifactNotFoundError as missing:
        return Failed("artifact_not_found", str(missing), kind="user", param="export_of")
    except QuotaExceededError as error:
        return Failed("quota_exceeded", str(error), kind="user")
    except StorageUnavailableError as error:
        return Failed("storage_unavailable", str(error), retryable=True)
    except InvalidArtifactError as error:
        return Failed("trainer_bug", str(error))
    except SecretsUnavailableError as error:
        return Failed("secrets_unavailable", str(error), retryable=True)  # another worker may have the key
    except OSError as error:  # disk full, too many processes, no permission
        code = "insufficient_storage" if error.errno == errno.ENOSPC else "worker_environment"
        return Failed(code, f"the worker could not run the trainer: {error}", retryable=True)
    return classify(
        ProcessExit(
            returncode=returncode, stop=stop, limit_seconds=limits.of(stop), error=reporter.error,
            finished=reporter.finished, stored=reporter.stored, stderr_tail=reporter.stderr.last_lines(_LAST_LINES),
            exporting=claimed.export_of is not None,
        )
    )  # fmt: skip


@dataclass(frozen=True)
class _Ready:
    """What a work folder holds that a trainer can start in."""

    command: list[str]
    has_token: bool


def _prepare(claimed: ClaimedJob, context: Context, reporter: EventRecorder) -> _Ready:
    """Put everything the trainer reads into the attempt's folder.

    Raises DatasetNotFoundError, ArtifactNotFoundError, StorageUnavailableError, SecretsUnavailableError, OSError.
    """
    settings, patiently = context.settings, reporter.writer.with_retry
    spec, failure = work_dirs.prepare(settings, claimed.fence, claimed.spec)
    if claimed.export_of is None:
        patiently(lambda: inputs.fetch(context.database, settings, claimed.spec, reporter.work))
        command = partial(trainer_command, settings, spec)
    else:
        export_of = claimed.export_of
        mask = patiently(lambda: masks.fetch(context.database, export_of, reporter.work))
        with suppress(DatasetNotFoundError):  # deleted since the mask was trained: random rows serve to compare
            patiently(lambda: inputs.fetch(context.database, settings, claimed.spec, reporter.work))
        command = partial(export_command, settings, mask)
        failure = None  # it leaves no checkpoints
    failpoints.hit(failpoints.Failpoint.WORK_PREPARED)
    if failure is not None:
        reporter.record_event("log", {"level": "warning", "message": f"checkpoints stay on this host: {failure}"})
    token_file = _token_file(claimed, context, reporter)
    return _Ready(command(reporter.work, token_file, claimed.exports), token_file is not None)


def _token_file(claimed: ClaimedJob, context: Context, reporter: EventRecorder) -> Path | None:
    """The owner's hub token where the trainer finds it, if they have set one. Raises SecretsUnavailableError, OSError."""
    token = reporter.writer.with_retry(lambda: load_hub_token(context, claimed.owner))
    if token is None:
        return None
    reporter.redact.hide(token)
    return write_token(reporter.work, token)


def _cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name(verdict: Outcome | Failed) -> str:
    return f"{verdict.code}: {verdict.message}" if isinstance(verdict, Failed) else verdict.value
