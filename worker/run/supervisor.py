"""Supervisor of one attempt: prepare its folder, run the trainer, record the outcome, remove its files on this host.

Called by ``worker.run.loop`` in a thread that does nothing else until the trainer has ended. Two guarantees: no trainer
is left running in any case; and once the lease is lost, nothing more is written.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from sqlalchemy.orm import Session

from pruning.events import ExitCode
from service import failpoints
from service.db.engine import DATABASE_UNAVAILABLE
from service.db.models import Job
from service.errors import LeaseLostError
from service.jobs import claims
from service.settings import Settings
from service.states import TERMINAL, Status
from service.tracing import spans
from worker.context import Context
from worker.files import work_dirs
from worker.monitoring.job_metrics import AttemptMetrics
from worker.run import checkpoint_sync
from worker.run.attempt_trace import PhaseSpans, attempt_span
from worker.run.claimed_job import ClaimedJob
from worker.run.event_recorder import EventRecorder
from worker.run.fenced_writer import FencedWriter
from worker.run.lease import Lease
from worker.run.monitor import Limits, monitor
from worker.run.outcome import (
    ATTEMPT_ERRORS,
    CancelledError,
    Failed,
    Outcome,
    ProcessExit,
    RejectedWriteError,
    classify,
    classify_error,
)
from worker.run.preparation import PreparedAttempt, prepare
from worker.run.process import TrainerProcess

_STDERR_LINES = 5
log = logging.getLogger(__name__)


def supervise(claimed: ClaimedJob, context: Context, command: Sequence[str] | None = None) -> Outcome | Failed:
    """Run one attempt to its end and release its devices. ``command`` takes the place of the trainer's command line.

    Raises the database's own error when it stays unreachable for a whole lease; the maintainer then requeues the job.
    """
    settings = context.settings
    work = work_dirs.attempt_folder(settings.data_dir, claimed.fence)
    counted = context.metrics.attempt(claimed.kind, str(claimed.spec.get("method")))
    with attempt_span(claimed, context.worker_id) as attempt, context.release_afterwards(claimed.devices), counted as metrics:
        log.info("claimed: %s", claimed)  # inside the span, so that the line has its trace id
        try:
            with _hold_lease(claimed, context) as lease:
                recorder = EventRecorder(FencedWriter(context.database, lease), work, settings, claimed.reached_step)
                recorder.on_recorded = metrics.handle
                outcome = _prepare_and_run(claimed, context, recorder, PhaseSpans(attempt), command)
                with spans.span("attempt.finish"):
                    outcome, job = _finish(outcome, recorder, settings)
        except LeaseLostError:
            log.warning("the job belongs to another worker by now; nothing more is written")
            attempt.drop()
            metrics.ended("lost", "lease_lost")
            return Outcome.ABANDONED
        except DATABASE_UNAVAILABLE:
            metrics.ended("lost", "database_unavailable")
            raise
        finally:
            work_dirs.remove_folder(work, settings.trainer_ids)
        log.info("%s", _format_end(job))
        attempt.set({"espalier.outcome": job.status})
        if isinstance(outcome, Failed):
            attempt.fail(outcome.code)
        _count_end(metrics, outcome, job)
        if job.status in TERMINAL:
            work_dirs.remove_job_files(settings, claimed.fence.job_id)
            checkpoint_sync.delete_copies(settings, claimed.fence.job_id)
    return outcome


def _count_end(metrics: AttemptMetrics, outcome: Outcome | Failed, job: Job) -> None:
    """The reason of a failure is its code, also where the job is tried again or its user had asked to cancel or pause it."""
    if isinstance(outcome, Failed):
        metrics.ended("retried" if job.status is Status.QUEUED else job.status, outcome.code)
    else:
        metrics.ended(outcome, "none")


def _format_end(job: Job) -> str:
    """Outcome of the job: its state, with the reason or the main metric before and after."""
    if job.error is not None and job.status != Status.SUCCEEDED:
        return f"{job.status}: {job.error['message']} ({job.error['code']})"
    result = job.result or {}
    name = result.get("primary_metric")
    numbers = [(result.get(part) or {}).get(name) for part in ("before", "final")]
    known = " → ".join(f"{number:.3f}" for number in numbers if isinstance(number, int | float))
    return f"{job.status}: {name} {known}" if known else str(job.status)


def _hold_lease(claimed: ClaimedJob, context: Context) -> Lease:
    settings = context.settings
    return Lease(
        context.database,
        claimed.fence,
        claimed_at=claimed.claimed_at,
        lease_seconds=settings.lease_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
    )


def _prepare_and_run(
    claimed: ClaimedJob, context: Context, recorder: EventRecorder, phases: PhaseSpans, command: Sequence[str] | None
) -> Outcome | Failed:
    """Prepare and run the trainer. Every error that prevents the attempt is an outcome; raises LeaseLostError."""
    recorder.on_event = phases.handle
    try:
        with spans.span("attempt.prepare"):
            prepared = prepare(claimed, context, recorder)
        phases.enter("starting")  # the interpreter and its libraries
        process_exit = _run_trainer(claimed, context, recorder, prepared, command or prepared.command)
    except CancelledError:
        return Outcome.CANCELLED
    except ATTEMPT_ERRORS as error:
        return classify_error(error)
    finally:
        phases.leave()
    return classify(process_exit)


def _run_trainer(
    claimed: ClaimedJob, context: Context, recorder: EventRecorder, prepared: PreparedAttempt, command: Sequence[str]
) -> ProcessExit:
    """Start the trainer and follow it to its end. Raises the exceptions of starting it and recording its events."""
    settings, lease = context.settings, recorder.writer.lease
    limits = Limits(
        stall_seconds=settings.stall_seconds,
        duration_seconds=claimed.max_duration or settings.max_duration_seconds,
        grace_seconds=settings.term_grace_seconds,
    )
    with (
        nullcontext() if claimed.mask_of is not None else checkpoint_sync.synchronized(settings, recorder, context.stopping),
        TrainerProcess(command, prepared.environment, settings.trainer_nice, settings.trainer_ids) as trainer,
    ):
        log.info("trainer %d started", trainer.pid)
        failpoints.hit(failpoints.Failpoint.TRAINER_STARTED)
        lease.on_renewal = trainer.extend_deadline
        trainer.extend_deadline(lease.until)
        returncode, stop = monitor(trainer, recorder, limits, context.stopping)
    recorder.flush()
    if recorder.finished is not None and returncode != ExitCode.OK:
        message = f"the trainer ended with {returncode} after its work"
        recorder.record_event("log", {"level": "warning", "message": message})
    return ProcessExit(
        returncode=returncode,
        stop=stop,
        limit_seconds=limits.exceeded_by(stop),
        error=recorder.error,
        finished=recorder.finished,
        stored=recorder.stored,
        stderr_tail=recorder.stderr.last_lines(_STDERR_LINES),
        kind=claimed.kind,
    )


def _finish(outcome: Outcome | Failed, recorder: EventRecorder, settings: Settings) -> tuple[Outcome | Failed, Job]:
    """The last writes of the attempt: the end of standard error, and the job's state. Raises LeaseLostError.

    A result that the database refuses is a failure.
    """
    if outcome is Outcome.ABANDONED:
        raise recorder.writer.fence.lost()
    try:
        recorder.close()
        job = recorder.writer.write(partial(_record_outcome, outcome=outcome, recorder=recorder, settings=settings))
    except RejectedWriteError as error:
        outcome = classify_error(error)
        job = recorder.writer.write(partial(_record_outcome, outcome=outcome, recorder=recorder, settings=settings))
    failpoints.hit(failpoints.Failpoint.FINISH_COMMITTED)
    return outcome, job


def _record_outcome(session: Session, *, outcome: Outcome | Failed, recorder: EventRecorder, settings: Settings) -> Job:
    """The job after the attempt: ended, paused, or queued for another attempt."""
    fence = recorder.writer.fence
    if isinstance(outcome, Failed) and outcome.retryable:
        job = claims.retry_or_fail(
            session,
            fence,
            error=outcome.as_failure(),
            retry_delay_seconds=settings.retry_delay_seconds,
            max_attempts=settings.max_attempts,
        )
    elif isinstance(outcome, Failed):
        job = claims.fail(session, fence, error=outcome.as_failure())
    elif outcome is Outcome.SUCCEEDED:
        assert recorder.finished is not None  # noqa: S101 - classify() grants success only with it
        mask = recorder.stored.get(work_dirs.MASK)  # a job that exports or evaluates one has none of its own
        job = claims.succeed(session, fence, result=recorder.finished.metrics, mask_artifact_id=mask)
    elif outcome is Outcome.CANCELLED:
        job = claims.cancel(session, fence)
    elif outcome is Outcome.PAUSED:
        job = claims.pause(session, fence)
    else:
        job = claims.requeue(session, fence, reason="worker_shutdown")
    failpoints.hit(failpoints.Failpoint.FINISH_WRITTEN)
    return job
