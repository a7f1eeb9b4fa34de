"""Invariants after any fault, checked in the database, the process table and on the disk.

A total-queue check: every accepted job has one end or is still in the table; nothing is there twice, nothing was written by an
attempt that had lost its lease, nothing is left behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.artifacts.s3 import open_bucket
from service.db.engine import Database
from service.db.models import Artifact, ArtifactChunk, Event, Job, Metric, StoredObject
from service.states import TERMINAL, TRANSITIONS, Status


@dataclass
class Violations:
    """What was violated, by kind."""

    lost: list[str] = field(default_factory=list)
    """Accepted and gone, or neither ended nor owned."""
    duplicated: list[str] = field(default_factory=list)
    """Two ends, two results, two runs at once."""
    stale: list[str] = field(default_factory=list)
    """Written by an attempt that no longer had the job."""
    disorder: list[str] = field(default_factory=list)
    """Events with gaps, illegal moves, too many attempts."""
    orphans: list[str] = field(default_factory=list)
    """Processes, files and rows that are left behind."""

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.duplicated, *self.stale, *self.disorder, *self.orphans]


def find_violations(database: Database, accepted: Iterable[str], *, max_attempts: int, ended: bool = True) -> Violations:
    """The rows alone. ``ended``: every accepted job must have ended by now; otherwise it may still be owned."""
    found = Violations()
    with database.read() as session:
        rows = {job.id: job for job in session.scalars(select(Job))}
        for job_id in accepted:
            if job_id not in rows:
                found.lost.append(f"{job_id} was accepted and is gone")
            elif ended and rows[job_id].status not in TERMINAL:
                found.lost.append(f"{job_id} is {rows[job_id].status} and does not end")
        for job in rows.values():
            _check_events(session, job, found)
            _check_metrics(session, job, found)
            _check_artifacts(session, job, found)
            if job.attempts_spent > max_attempts:
                found.disorder.append(f"{job.id} spent {job.attempts_spent} attempts of {max_attempts}")
    return found


def _check_events(session: Session, job: Job, found: Violations) -> None:
    """Replay the events: each must be possible where it is."""
    events = list(session.scalars(select(Event).where(Event.job_id == job.id).order_by(Event.seq)))
    if [event.seq for event in events] != list(range(1, job.event_seq + 1)):
        found.disorder.append(f"{job.id} has events {[event.seq for event in events]} of {job.event_seq}")
    status, attempt = Status.QUEUED, 0
    for event in events:
        where = f"{job.id} event {event.seq} ({event.type})"
        if event.type == "status":
            to = Status(event.data["status"])
            if to not in TRANSITIONS[status]:
                (found.duplicated if status in TERMINAL else found.disorder).append(f"{where}: {status} to {to}")
            status = to
            attempt += to is Status.RUNNING
        elif event.seq > 1 and status is not Status.RUNNING:
            found.stale.append(f"{where}: written while the job was {status}")
        if event.attempt != attempt:
            found.stale.append(f"{where}: written by attempt {event.attempt} during {attempt}")
    if (status, attempt) != (job.status, job.attempt):
        found.disorder.append(f"{job.id} is {job.status}, {job.attempt}; its events say {status}, {attempt}")


def _check_metrics(session: Session, job: Job, found: Violations) -> None:
    """Metrics of an attempt come after its claim and before that of the next one."""
    claims = {
        event.attempt: event.created_at
        for event in session.scalars(select(Event).where(Event.job_id == job.id, Event.type == "status"))
        if event.data["status"] == Status.RUNNING
    }
    last = 0
    for row in session.scalars(select(Metric).where(Metric.job_id == job.id).order_by(Metric.id)):
        after = claims.get(row.attempt + 1)
        if row.attempt < last or row.attempt not in claims or (after is not None and row.created_at > after):
            found.stale.append(f"{job.id} metric {row.id} of attempt {row.attempt} after attempt {last}")
        last = max(last, row.attempt)


def _check_artifacts(session: Session, job: Job, found: Violations) -> None:
    """Complete artifacts are complete, and there is one of each name; a finished job has no others."""
    names: set[str] = set()
    for artifact in session.scalars(select(Artifact).where(Artifact.job_id == job.id)):
        stored = select(func.coalesce(func.sum(func.length(ArtifactChunk.data)), 0)).where(ArtifactChunk.artifact_id == artifact.id)
        if not artifact.complete:
            if job.status in TERMINAL:
                found.orphans.append(f"{job.id}: half an artifact {artifact.name} of attempt {artifact.attempt}")
            continue
        if artifact.name in names:
            found.duplicated.append(f"{job.id}: two artifacts {artifact.name}")
        names.add(artifact.name)
        lying = session.get(StoredObject, artifact.id)
        size = open_bucket(lying.storage).head(lying.name)[0] if lying else session.execute(stored).scalar_one()
        if size != artifact.size:
            found.disorder.append(f"{job.id}: {artifact.name} is not complete")
        if job.mask_artifact_id == artifact.id and artifact.attempt != job.attempt:
            found.stale.append(f"{job.id}: its mask is of attempt {artifact.attempt}, it ended with {job.attempt}")


def processes_under(folder: Path) -> list[int]:
    """Living processes whose command line names ``folder``: trainers, for their work folder is under it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder).encode() in words:
            found.append(int(process.name))
    return found


def leftovers(*folders: Path) -> list[Path]:
    """What is still under the folders in which jobs work."""
    return [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
