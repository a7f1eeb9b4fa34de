"""Jobs in the states that the tests of this folder start from."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from service.artifacts import store
from service.db.clock import now_sql
from service.db.engine import Database
from service.db.models import Failure, Job
from service.jobs import claims, commands, queries
from service.jobs.fence import Fence

SPEC: dict[str, Any] = {"version": 1, "model": "acme/tiny", "task": "sst2", "method": "smp-s"}
LOST = Failure(code="hub_unreachable", message="The hub did not answer.", param=None, kind="system", retryable=True)
MASK = "mask.safetensors"


def queued(database: Database, **fields: Any) -> str:
    """The id of a job that waits."""
    with database.write() as session:
        return commands.create(session, **{"spec": SPEC, **fields}).id


def claim(database: Database, worker_id: str = "w1", lease_seconds: float = 60) -> Job | None:
    """What a worker gets now."""
    with database.write() as session:
        return claims.claim(session, worker_id=worker_id, lease_seconds=lease_seconds)


def running(database: Database, **fields: Any) -> Job:
    """A job just claimed by worker w1."""
    job_id = queued(database, **fields)
    job = claim(database)
    assert job is not None
    assert job.id == job_id
    return job


def store_file(
    database: Database, job: Job, path: Path, data: bytes, name: str = MASK, chunk_bytes: int = 4096, **options: Any
) -> int:
    """``data`` as an artifact of the run of ``job``."""
    path.write_bytes(data)
    return store.put(
        database,
        Fence.from_row(job),
        name=name,
        media_type="application/octet-stream",
        path=path,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        chunk_bytes=chunk_bytes,
        **options,
    )


def succeeded(database: Database, folder: Path, *, reports: Sequence[str] = (), storage_url: str | None = None) -> Job:
    """A job that ended well and also left ``reports``."""
    job = running(database)
    for name in reports:
        store_file(database, job, folder / name, b"report", name=name, storage_url=storage_url)
    mask = store_file(database, job, folder / MASK, b"mask", storage_url=storage_url)
    with database.write() as session:
        return claims.succeed(session, Fence.from_row(job), result={"accuracy": 0.9}, mask_artifact_id=mask)


def failed(database: Database) -> Job:
    """A job that ended badly."""
    job = running(database)
    with database.write() as session:
        return claims.fail(session, Fence.from_row(job), error=LOST)


def cancelled(database: Database) -> Job:
    """A job that was cancelled before it ran."""
    job_id = queued(database)
    with database.write() as session:
        return commands.request_cancel(session, job_id)


def paused(database: Database) -> Job:
    """A job that was paused before it ran."""
    job_id = queued(database)
    with database.write() as session:
        return commands.request_pause(session, job_id)


def expire_leases(database: Database, *job_ids: str) -> None:
    """Let the leases of these jobs have ended a second ago."""
    with database.write() as session:
        session.execute(update(Job).where(Job.id.in_(job_ids)).values(lease_expires_at=now_sql(-1)))


def make_due(database: Database, job_id: str) -> None:
    """End the back-off of a queued job."""
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(not_before=now_sql(-1)))


def load(database: Database, job_id: str) -> Job:
    """The job as it is now."""
    with database.read() as session:
        return queries.get(session, job_id)


def recorded_events(database: Database, job_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of its events; fails unless they are numbered 1, 2, 3, …"""
    with database.read() as session:
        events = queries.events(session, job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [(event.type, event.data) for event in events]


def db_now(session: Session) -> datetime:
    """The database's clock."""
    return session.execute(select(now_sql())).scalar_one()


@contextmanager
def jobs_locked(database: Database) -> Iterator[None]:
    """Locks the table of jobs against all other readers inside the block. PostgreSQL only."""
    with database.write() as session:
        session.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        yield


def lock_is_awaited(database: Database) -> bool:
    """Whether a statement waits for a locked table. PostgreSQL only."""
    mine = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    with database.read() as session:
        return session.execute(text(f"SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND {mine}")).scalar_one()
