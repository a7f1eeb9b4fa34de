"""Statistics of jobs, workers and webhook messages, counted in the database, so that every API process reports the same.

Called by ``api.routes.metrics`` and ``api.pages.home``. Deleted jobs are no longer counted, so a total can fall, which Prometheus
takes for a counter reset.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.db.clock import now_sql, seconds_sql
from service.db.engine import Database
from service.db.models import Artifact, Dataset, Job, UploadedModel, Worker
from service.jobs import heartbeats
from service.operations.remembered import Remembered
from service.states import TERMINAL, Status
from service.webhooks import outbox

DURATION_BUCKETS = (30.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 12 * 3600.0, 24 * 3600.0)
"""Upper bounds in seconds; above them is infinity."""
_ENDED_SECONDS = 600.0
"""How long the sums of ended jobs are remembered."""
_COMMITTED_SECONDS = 120.0
"""The end of a job is dated by the start of its transaction, which may last until the database ends an idle one, 30 s."""
_FILES_SECONDS = 60.0
"""How long the sums of artifacts, data sets and models are remembered."""


@dataclass(frozen=True)
class DurationHistogram:
    """Seconds from submission to the end, of the jobs that prune and ended with one status."""

    buckets: list[int]
    """Number of jobs that took no longer than each of DURATION_BUCKETS."""
    count: int
    total: float

    def plus(self, other: "DurationHistogram") -> "DurationHistogram":
        """Both together."""
        buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        return DurationHistogram(buckets, self.count + other.count, self.total + other.total)


@dataclass
class Statistics:
    """Values at one moment."""

    jobs: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    exporting: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    """Jobs among ``jobs`` that export or evaluate the mask of another."""
    oldest_queued_seconds: float = 0.0
    """Seconds that the oldest due job has been due."""
    attempts: int = 0
    attempts_failed: int = 0
    """Attempts that were lost or failed for an outside reason."""
    lease_expiries: int = 0
    run_seconds: float = 0.0
    gpu_seconds: float = 0.0
    durations: dict[Status, DurationHistogram] = field(default_factory=dict)
    workers: int = 0
    slots: int = 0
    messages_pending: int = 0
    """Webhook messages to be delivered, those of disabled webhooks included."""
    messages_failed: int = 0
    """Webhook messages of the last weeks that were given up."""
    stored_bytes: dict[str, int] = field(default_factory=dict)
    """By what they belong to."""

    def add_jobs(self, row: Row[Any]) -> None:
        """Count the jobs of a row of ``_by_status``."""
        status = Status(row.status)
        self.jobs[status] += row.jobs
        self.exporting[status] += row.exporting
        self.attempts += row.attempts
        self.attempts_failed += row.attempts_failed
        self.lease_expiries += row.lease_expiries
        self.run_seconds += row.run_seconds
        self.gpu_seconds += row.gpu_seconds
        for kind in ("records", "checkpoints"):
            self.stored_bytes[kind] = self.stored_bytes.get(kind, 0) + int(row._mapping[kind])
        if status in TERMINAL:
            buckets = [row._mapping[f"bucket_{i}"] for i in range(len(DURATION_BUCKETS))]
            added = DurationHistogram(buckets, row.jobs - row.exporting, row.seconds)
            known = self.durations.get(status)
            self.durations[status] = known.plus(added) if known else added


class StatisticsReader:
    """Reads the statistics of one database, and remembers the sums of jobs that have ended some time ago.

    Those are nearly all jobs, and change no more: without remembering, a scrape took a second and a half at 100,000 jobs. They are
    read again every ``_ENDED_SECONDS``, by which a deleted job is no longer counted. Any thread may use it.
    """

    def __init__(self, database: Database, *, worker_seen_seconds: float) -> None:
        self._database, self._worker_seen_seconds = database, worker_seen_seconds
        self._ended: Remembered[tuple[datetime, Sequence[Row[Any]]]] = Remembered(_ENDED_SECONDS)
        self._files: Remembered[dict[str, int]] = Remembered(_FILES_SECONDS)

    def read(self) -> Statistics:
        """All statistics, in four queries; at times in six."""
        found = Statistics()
        with self._database.read() as session:
            until, ended = self._ended.get(lambda: _read_ended(session))
            live = session.execute(_by_status(_not_ended_before(until))).all()
            for row in [*ended, *live]:
                found.add_jobs(row)
            found.stored_bytes |= self._files.get(lambda: _file_bytes(session))
            due = (Job.status == Status.QUEUED, Job.not_before <= now_sql())
            waited = session.execute(select(func.max(seconds_sql(_column("not_before")))).where(*due)).scalar_one()
            found.oldest_queued_seconds = waited or 0.0
            found.messages_pending, found.messages_failed = outbox.backlog(session)
            workers = heartbeats.live_workers(session, within_seconds=self._worker_seen_seconds)
        found.workers, found.slots = len(workers), sum(worker.slots for worker in workers)
        return found


def _not_ended_before(moment: datetime) -> ColumnElement[bool]:
    """By two indexes: that of ``finished_at`` has no jobs that have not ended."""
    return or_(Job.status.in_(sorted(set(Status) - TERMINAL)), Job.finished_at > moment)


def _read_ended(session: Session) -> tuple[datetime, Sequence[Row[Any]]]:
    """The sums of jobs that ended before a moment, and the moment: so long ago that the transactions that ended them are
    committed."""
    until = session.scalars(select(now_sql(-_COMMITTED_SECONDS))).one()
    return until, session.execute(_by_status(Job.finished_at <= until)).all()


def _file_bytes(session: Session) -> dict[str, int]:
    tables: dict[str, InstrumentedAttribute[int]] = {
        "artifacts": Artifact.size,
        "datasets": Dataset.size,
        "models": UploadedModel.size,
    }
    return {kind: int(session.scalars(select(func.coalesce(func.sum(size), 0))).one()) for kind, size in tables.items()}


@dataclass(frozen=True)
class Queue:
    """Queue and workers at one moment."""

    waiting: int
    """Queued jobs, those that wait for a second attempt included."""
    oldest_at: datetime | None
    """Submission time of the oldest of them."""
    running: int
    workers: Sequence[Worker]
    """Workers with a recent heartbeat, oldest first."""


def read_queue(session: Session, *, worker_seen_seconds: float) -> Queue:
    """The queue of the whole service. Two ranges of one index, so that a page may ask for it every few seconds."""
    counted = select(func.count(), func.min(Job.created_at))
    waiting, oldest_at = session.execute(counted.where(Job.status == Status.QUEUED)).one()
    running = session.execute(counted.where(Job.status == Status.RUNNING)).one()[0]
    live = heartbeats.live_workers(session, within_seconds=worker_seen_seconds)
    return Queue(waiting, oldest_at, running, live)


def _by_status(of: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    ran = Job.run_seconds + case((Job.status == Status.RUNNING, seconds_sql(_column("claimed_at"))), else_=0.0)
    devices = func.coalesce(Job.spec["devices"].as_integer(), 1)
    on_gpu = case((Job.device.like("cuda%"), ran * devices), else_=0.0)
    prunes = Job.export_of.is_(None)
    # NULL, which no sum counts, for exports and evaluations: they take minutes where pruning takes hours
    took = case((prunes, seconds_sql(_column("created_at")) - seconds_sql(_column("finished_at"))))
    buckets = [func.sum(case((took <= bound, 1), else_=0)).label(f"bucket_{i}") for i, bound in enumerate(DURATION_BUCKETS)]
    return (
        select(
            Job.status.label("status"),
            func.count().label("jobs"),
            func.sum(case((prunes, 0), else_=1)).label("exporting"),
            func.sum(Job.attempt).label("attempts"),
            func.sum(Job.attempts_spent).label("attempts_failed"),
            func.sum(Job.lease_expiries).label("lease_expiries"),
            func.sum(ran).label("run_seconds"),
            func.sum(on_gpu).label("gpu_seconds"),
            func.sum(Job.record_bytes).label("records"),
            func.sum(Job.checkpoint_bytes).label("checkpoints"),
            func.coalesce(func.sum(took), 0.0).label("seconds"),
            *buckets,
        )
        .where(of)
        .group_by(Job.status)
    )


def _column(name: str) -> ColumnElement[datetime]:
    return Job.__table__.c[name]
