"""Fixtures of the worker's tests: a worker without Celery, and fake trainers for its jobs."""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from service.db.engine import Database
from service.db.models import Artifact, Event, Job, Metric
from service.jobs import commands, queries
from service.settings import Settings
from tests.waiting import wait_until
from worker.context import Context
from worker.files.work_dirs import attempt_folder, work_folder
from worker.run.claimed_job import ClaimedJob
from worker.run.lease import Lease
from worker.run.loop import claim
from worker.run.outcome import Failed, Outcome
from worker.run.supervisor import supervise

SPEC = {"model": "toy", "task": "sst2", "sparsity": 0.5}


def fake_trainer_command(work: Path, behaviour: str) -> list[str]:
    """The command line of a trainer that behaves so."""
    return [sys.executable, "-m", "tests.worker.fake_trainer", str(work), behaviour]


def submit(database: Database, *, max_duration: float | None = None, **spec: Any) -> str:
    """A queued job's id; ``spec`` are fields of its spec."""
    with database.write() as session:
        return commands.create(session, spec={**SPEC, **spec}, metadata={}, priority=0, max_duration=max_duration).id


@dataclass
class WorkerHarness:
    """One worker without Celery, and what it left in the database."""

    context: Context

    def submit(self, *, max_duration: float | None = None, **spec: Any) -> str:
        return submit(self.context.database, max_duration=max_duration, **spec)

    def claim(self) -> ClaimedJob:
        claimed = claim(self.context)
        assert claimed is not None
        return claimed

    def work_folder(self, job_id: str) -> Path:
        return work_folder(self.context.settings.data_dir, job_id)

    def run(self, claimed: ClaimedJob, behaviour: str) -> Outcome | Failed:
        work = attempt_folder(self.context.settings.data_dir, claimed.fence)
        return supervise(claimed, self.context, fake_trainer_command(work, behaviour))

    def start(self, claimed: ClaimedJob, behaviour: str) -> "SupervisorThread":
        return SupervisorThread(lambda: self.run(claimed, behaviour))

    def job(self, job_id: str) -> Job:
        with self.context.database.read() as session:
            return queries.get(session, job_id)

    def events(self, job_id: str) -> list[Event]:
        with self.context.database.read() as session:
            return list(session.scalars(select(Event).where(Event.job_id == job_id).order_by(Event.seq)))

    def wait_for_event(self, job_id: str, kind: str) -> None:
        wait_until(lambda: any(event.type == kind for event in self.events(job_id)), what=f"an event {kind}")

    def metrics(self, job_id: str) -> list[Metric]:
        with self.context.database.read() as session:
            return list(session.scalars(select(Metric).where(Metric.job_id == job_id).order_by(Metric.id)))

    def artifacts(self, job_id: str) -> dict[str, Artifact]:
        with self.context.database.read() as session:
            found = session.scalars(select(Artifact).where(Artifact.job_id == job_id, Artifact.complete))
            return {artifact.name: artifact for artifact in found}


class SupervisorThread:
    """A supervisor in a thread of its own, as Celery's pool runs it."""

    def __init__(self, run: Callable[[], Outcome | Failed]) -> None:
        self._result: list[Outcome | Failed] = []
        self._thread = threading.Thread(target=lambda: self._result.append(run()), daemon=True)
        self._thread.start()

    def result(self, seconds: float = 120) -> Outcome | Failed:
        self._thread.join(seconds)
        assert self._result, "the supervisor did not return"
        return self._result[0]


def hold_lease(
    harness: WorkerHarness, *, seconds: float, claimed_at: float | None = None, database: Database | None = None
) -> Lease:
    """A lease on the best job, to be entered or not."""
    claimed = harness.claim()
    return Lease(
        database or harness.context.database,
        claimed.fence,
        lease_seconds=seconds,
        heartbeat_seconds=0.05,
        claimed_at=claimed.claimed_at if claimed_at is None else claimed_at,
    )


def database_away() -> OperationalError:
    return OperationalError("", {}, Exception("the database is unreachable"))


class UnreachableDatabase(Database):
    """An unreachable database."""

    def write(self):  # type: ignore[no-untyped-def]
        raise database_away()


@pytest.fixture
def harness(settings: Settings, database: Database) -> WorkerHarness:
    """A worker with short pauses and long limits."""
    fast = settings.model_copy(
        update={"lease_seconds": 60.0, "heartbeat_seconds": 0.1, "term_grace_seconds": 0.5, "retry_delay_seconds": 0.0}
    )
    return WorkerHarness(Context(fast, database))
