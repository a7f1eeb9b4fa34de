"""One run of one job: start the trainer, listen to it, stop it when there is a reason to, write down how it ended.

Called by ``tasks.py`` in a thread that does nothing else until the trainer is gone. Two promises: whatever happens here,
no trainer is left behind; and once the lease is lost, nothing more is written.
"""

import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.errors import LeaseLost
from jobs.models import Job
from jobs.states import TERMINAL
from pruning.events import ExitCode
from worker.context import Context
from worker.environment import trainer_environment
from worker.follow import Limits, follow
from worker.lease import Lease
from worker.ledger import Ledger
from worker.logs import about
from worker.outcomes import Ending, Failed, Verdict, judge
from worker.reporting import FalseReport, Reporter
from worker.trainer import Trainer, trainer_command
from worker.verdict import write_verdict

_LAST_LINES = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claimed:
    """What is needed of a claimed job once its transaction is over."""

    job_id: str
    attempt: int
    spec: dict[str, Any]
    max_duration: float | None
    since: float
    """``time.monotonic()`` before the claim."""

    @classmethod
    def of(cls, job: Job, since: float) -> "Claimed":
        """From the row."""
        return cls(job.id, job.attempt, job.spec, job.max_duration, since)


def work_folder(data_dir: Path, job_id: str) -> Path:
    """Where a job's trainer reads its spec and leaves its checkpoints and artifacts."""
    return data_dir / "work" / job_id


def supervise(claimed: Claimed, context: Context, command: Sequence[str] | None = None) -> Verdict | Failed:
    """Run the job to the end of this attempt. ``command`` takes the place of the trainer's command line.

    Raises the database's own error when it stays away for a whole lease; the rescuer then brings the job back.
    """
    settings = context.settings
    work = work_folder(settings.data_dir, claimed.job_id)
    with (
        about(job=claimed.job_id, attempt=claimed.attempt),
        Lease(
            context.database, claimed.job_id, claimed.attempt, since=claimed.since,
            lease_seconds=settings.lease_seconds, heartbeat_seconds=settings.heartbeat_seconds,
        ) as lease,
    ):  # fmt: skip
        ledger = Ledger(context.database, lease)
        reporter = Reporter(ledger, work, chunk_bytes=settings.chunk_bytes, tail_bytes=settings.log_tail_bytes)
        try:
            verdict = _attempt(claimed, context, reporter, command)
            if verdict is Verdict.ABANDONED:
                raise LeaseLost(claimed.job_id, claimed.attempt)
            reporter.close()
            job = ledger.write(lambda session: write_verdict(session, verdict, ledger.fence, reporter, settings))
        except LeaseLost:
            log.warning("the job belongs to another worker by now; nothing more is written")
            return Verdict.ABANDONED
        log.info("the run ended (%s), the job is %s", _name(verdict), job.status)
        if job.status in TERMINAL:
            remove(work)
        return verdict


def remove(work: Path) -> None:
    """Remove a work folder that nobody needs any more."""
    try:
        shutil.rmtree(work)
    except OSError as error:  # the job has ended all the same; the rescuer's sweep tries again
        log.warning("the work folder could not be removed: %s", error)


def _attempt(claimed: Claimed, context: Context, reporter: Reporter, command: Sequence[str] | None) -> Verdict | Failed:
    """From the work folder to the verdict; every reason for which a trainer cannot do its work is one."""
    settings = context.settings
    limits = Limits(
        stall_seconds=settings.stall_seconds,
        duration_seconds=claimed.max_duration or settings.max_duration_seconds,
        grace_seconds=settings.term_grace_seconds,
    )
    threads = settings.trainer_threads or max(1, _cores() // settings.worker_slots)
    try:
        spec = _prepare(reporter.work, claimed.spec)
        command = command or trainer_command(settings, spec, reporter.work)
        with Trainer(command, trainer_environment(os.environ, threads)) as trainer:
            log.info("trainer %d started", trainer.pid)
            returncode, stop = follow(trainer, reporter, limits, context.stopping)
        reporter.flush()
        if reporter.finished is not None and returncode != ExitCode.OK:
            reporter.note(
                "log", {"level": "warning", "message": f"the trainer ended badly ({returncode}) after its work"}
            )
    except FalseReport as error:
        return Failed("trainer_bug", str(error))
    except OSError as error:  # disk full, too many processes, no permission
        return Failed("worker_environment", f"the worker could not run the trainer: {error}", retryable=True)
    return judge(
        Ending(
            returncode=returncode, stop=stop, limit_seconds=limits.of(stop), error=reporter.error,
            finished=reporter.finished, stored=reporter.stored, last_words=reporter.tail.last_lines(_LAST_LINES),
        )
    )  # fmt: skip


def _prepare(work: Path, spec: dict[str, Any]) -> Path:
    """The work folder with the spec in it; what an earlier attempt left there stays, to be resumed from."""
    work.mkdir(parents=True, exist_ok=True)
    path, partial = work / "spec.json", work / "spec.json.part"
    partial.write_text(json.dumps(spec, indent=2) + "\n")
    partial.replace(path)
    return path


def _cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _name(verdict: Verdict | Failed) -> str:
    return f"{verdict.code}: {verdict.message}" if isinstance(verdict, Failed) else verdict.value
